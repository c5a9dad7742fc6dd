# SPDX-License-Identifier: Apache-2.0
"""The lines of training by sub-networks that `mutations.py` breaks."""

from tests.breaks import Mutation

PARALLEL = "sw/gcnloom/parallel"
ROUNDS = ("tests/sw/parallel/test_gist_rounds.py",)
GIST = "tests/sw/parallel/test_gist.py"
BY_HAND = (GIST, "-k", "put_together and host")
RESUMED = (GIST, "-k", "interrupted")
KEPT = (GIST, "-k", "kept")
BYTES = ("tests/sw/parallel/test_gist_commands.py", "-k", "formula")

PARTS = [
    Mutation(f"{PARALLEL}/rounds.py", "array[place] = mine", "array[place] += mine", ROUNDS),
    Mutation(
        f"{PARALLEL}/rounds.py",
        "self._words(number, layer, self.hidden)",
        "self._words(0, layer, self.hidden)",
        ROUNDS,
    ),
    Mutation(
        f"{PARALLEL}/rounds.py",
        "self._words(number, layer, self.hidden)",
        "self._words(number, 1, self.hidden)",
        ROUNDS,
    ),
    Mutation(f"{PARALLEL}/rounds.py", "number == worker == 0", "number == 0", ROUNDS),
    Mutation(
        f"{PARALLEL}/rounds.py",
        "self._words(number, SEEDS, worker + 1)[0]",
        "self._words(0, SEEDS, worker + 1)[0]",
        ROUNDS,
    ),
    Mutation(f"{PARALLEL}/rounds.py", "self.epochs // self.workers", "self.epochs", ROUNDS),
    Mutation(
        f"{PARALLEL}/rounds.py",
        "self.local_epochs - number * self.local_iterations",
        "self.local_epochs",
        ROUNDS,
    ),
    Mutation(f"{PARALLEL}/parts.py", "range(1, rounds.workers)", "range(rounds.workers)", BYTES),
    Mutation(
        f"{PARALLEL}/parts.py",
        "groups.scatter(after, worker, _parts(flat, shapes[worker]))",
        "groups.scatter(after, 0, _parts(flat, shapes[worker]))",
        BY_HAND,
    ),
    Mutation(
        f"{PARALLEL}/gist.py",
        "self._parts.scatter(number, self.weights)",
        "self._parts.scatter(0, self.weights)",
        BY_HAND,
    ),
    Mutation(
        f"{PARALLEL}/gist.py",
        "seed=rounds.local_seed(number, self.communicator.rank)",
        "seed=rounds.local_seed(number, 0)",
        BY_HAND,
    ),
    Mutation(
        f"{PARALLEL}/gist.py",
        "epochs=rounds.iterations(number)",
        "epochs=rounds.iterations(0)",
        BY_HAND,
    ),
    Mutation(f"{PARALLEL}/gist.py", 'self.done = meta["gist"]["done"]', "self.done = 0", RESUMED),
    Mutation(
        f"{PARALLEL}/gist.py",
        "(accuracy, -loss) > self._best_rank",
        "(accuracy, -loss) < self._best_rank",
        KEPT,
    ),
    Mutation(
        "sw/gcnloom/training/trainer.py",
        "self.optimiser = self.options.make_optimiser()",
        "pass",
        BY_HAND,
    ),
]
