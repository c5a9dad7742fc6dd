# SPDX-License-Identifier: Apache-2.0
"""The lines of studies that `mutations.py` breaks."""

from tests.breaks import Mutation

STUDY = "sw/gcnloom/study"
TESTS = "tests/sw/study"
MODELLED = (f"{TESTS}/test_modelled.py",)
SHOWN = (f"{TESTS}/test_shown.py",)
INTERRUPTED = (f"{TESTS}/test_study.py", "-k", "interrupted")
FULL = (f"{TESTS}/test_prediction.py", "-k", "full_graphs")
BATCHES = (f"{TESTS}/test_prediction.py", "-k", "batches")

STUDIES = [
    Mutation(f"{STUDY}/figures.py", "max(1, epoch + ended)", "max(1, epoch)", MODELLED),
    Mutation(
        f"{STUDY}/forecast.py", "times[False][foretold] /", "times[True][foretold] /", MODELLED
    ),
    Mutation(
        f"{STUDY}/foresample.py", "range(first + count)", "range(first + 1)", BATCHES
    ),
    Mutation(f"{STUDY}/links.py", 'max(map(sum, moved))', 'max(per_worker["bytes"])', MODELLED),
    Mutation(f"{STUDY}/prediction.py", "np.fill_diagonal(counts, 0)", "pass", FULL),
    Mutation(f"{STUDY}/shown.py", 'verdict == "shown" and missing', "False", SHOWN),
    Mutation(f"{STUDY}/store.py", "run = store.find(case)", "run = None", INTERRUPTED),
    Mutation(
        "sw/gcnloom/parallel/communicator.py", "sum(map(bool, data))", "len(data)",
        ("tests/sw/parallel/test_communicator.py",),
    ),
]  # fmt: skip
