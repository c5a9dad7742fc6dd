# SPDX-License-Identifier: Apache-2.0
"""The lines of training on several devices that `mutations.py` breaks."""

from tests.breaks import Mutation

PARALLEL = "sw/gcnloom/parallel"
TRAINER = "tests/sw/parallel/test_trainer.py"
PLACES = (TRAINER, "-k", "columns_keep")
MOP = (TRAINER, "-k", "bits_of_one and mop")
HALO = (TRAINER, "-k", "bits_of_one and partition")
UNSEEN = (TRAINER, "-k", "does_not_see")
ROUNDED = (TRAINER, "-k", "stochastic_rounding_draws")
EXCHANGE = "tests/sw/parallel/test_exchange.py"
PIPELINE = "tests/sw/parallel/test_pipeline.py"
COMMUNICATOR = ("tests/sw/parallel/test_communicator.py",)

TOGETHER = [
    Mutation(
        f"{PARALLEL}/mixture.py",
        "self._mine.start % worker.config.lanes",
        "0",
        PLACES,
    ),
    Mutation(
        f"{PARALLEL}/mixture.py",
        "self._mine.start - self._lead)",
        "0)",
        MOP,
    ),
    Mutation(
        f"{PARALLEL}/partition.py",
        "np.concatenate(octets) >= output.dropout",
        "np.concatenate(octets) > output.dropout",
        HALO,
    ),
    Mutation(
        f"{PARALLEL}/scheme.py",
        "counted = int(np.searchsorted(rows, counted))",
        "counted = len(rows)",
        UNSEEN,
    ),
    Mutation(f"{PARALLEL}/scheme.py", "row=first, feature", "row=0, feature", ROUNDED),
    Mutation(
        f"{PARALLEL}/shared.py",
        'self._reduce(worker.envelopes[tensors], "or")',
        "worker.envelopes[tensors]",
        MOP,
    ),
    Mutation(
        f"{PARALLEL}/shared.py",
        'communicator.all_reduce("statistics", np.array([least], dtype=np.int64), "max")',
        "[least]",
        UNSEEN,
    ),
    Mutation(
        f"{PARALLEL}/communicator.py",
        "self.sent[kind] += sum(map(len, data)) - len(data[self.rank])",
        "self.sent[kind] += sum(map(len, data))",
        COMMUNICATOR,
    ),
    Mutation(
        f"{PARALLEL}/communicator.py",
        "travel, self._background)",
        "travel, self)",
        (EXCHANGE, "-k", "nobody_waits"),
    ),
    Mutation(
        f"{PARALLEL}/exchange.py",
        "background=staleness > 0 or not last",
        "background=False",
        (EXCHANGE, "-k", "travels_while"),
    ),
    Mutation(
        f"{PARALLEL}/exchange.py",
        "oldest = moment.step - staleness",
        "oldest = moment.step - staleness - 1",
        (PIPELINE, "-k", "epoch_it_says"),
    ),
    Mutation(
        f"{PARALLEL}/exchange.py",
        "sent.exponent - exponent)",
        "exponent - sent.exponent)",
        (EXCHANGE, "-k", "requantised"),
    ),
    Mutation(
        f"{PARALLEL}/trainer.py",
        "max(0, done - self.pipeline.staleness)",
        "done",
        (PIPELINE, "-k", "to_the_same_bits and mop"),
    ),
]
