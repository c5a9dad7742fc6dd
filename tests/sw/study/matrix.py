# SPDX-License-Identifier: Apache-2.0
"""A study that takes seconds, and figures made by hand."""

from gcnloom.study.cases import Case, Study
from gcnloom.study.figures import Figures
from gcnloom.study.links import Link
from gcnloom.study.store import Run

__all__ = ["TINY", "case", "figures", "run", "study_file"]

TINY = """
[study]
graphs = ["sbm:60,3"]
workers = [2]
seeds = [0]

[training]
device = "model"
config = "demo"
update = "host"
optimiser = "adam"
lr = 0.05
epochs = 3

[modes.single]
[modes.mop]
{more}

[device]
clock = 1e6

[[link]]
name = "slow"
bandwidth = 1e3
latency = 0.1

[[link]]
name = "fast"
bandwidth = 1e9
latency = 1e-9
"""


def study_file(folder, more=""):
    """Write the tiny study, with more modes."""
    path = folder / "tiny.toml"
    path.write_text(TINY.format(more=more), encoding="utf-8")
    return path


def case(**changed):
    """Make a case."""
    given = {"mode": "mop", "parallel": "mop", "graph": "g", "workers": 2, "seed": 0}
    return Case(**({**given, "mode": changed.get("parallel", "mop")} | changed))


def run(beats, *, moved=0.0, foretold=None, accuracy=0.8, validation=(0.8,), **changed):
    """Make a run whose busiest worker has so many beats an epoch, and sends so many bytes."""
    made = case(**changed)

    def effort(count):
        none = [0.0] * made.workers
        return {
            "beats": [count] * made.workers, "bytes": [moved] * made.workers, "messages": none,
            "fetched_bytes": none, "cycles": none, "memory": none,
        }  # fmt: skip

    kinds = {"activations": {"measured": moved, "formula": moved}}
    loads = dict.fromkeys(("bytes", "sparse_macs", "dense_macs"), 1.0)
    result = {
        "accuracy": {"val": accuracy, "test": accuracy}, "validation": list(validation),
        "epochs": len(validation), "weights_sha256": "same",
        "measured": {"per_worker": effort(beats)},
        "predicted": {"per_worker": effort(beats if foretold is None else foretold),
                      "features": moved},
    }  # fmt: skip
    if made.parallel != "single":
        result["parallel"] = {"bytes_per_epoch": kinds, "imbalance": loads}
    return Run(case=made, result=result)


def figures(*runs, target=1.0):
    """Gather runs to figures on one link of a byte a second, with a clock of 1 Hz."""
    study = Study(
        cases=tuple(each.case for each in runs), clock=1.0, target=target,
        links=(Link(name="link", bandwidth=1.0, latency=0.0),),
    )  # fmt: skip
    return Figures.of(study, runs, "gcnloom study tiny.toml")
