# SPDX-License-Identifier: Apache-2.0
"""Groups of sub-network training, without a device: partition (G1) and coverage (G6)."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from gcnloom.parallel.rounds import Groups, Rounds
from gcnloom.study.finding import Finding

__all__ = [
    "COVERAGE",
    "TRIALS",
    "Coverage",
    "coverage_finding",
    "coverage_rows",
    "coverages",
    "trial_finding",
    "whole_trials",
]

TRIALS = ("trials", "layers are partitioned", "weights are put back")
COVERAGE = ("workers", "rounds", "never trained", "formula", "most above, of all rounds")
ALLOWED = 0.02
"""By which the share of weights never trained may be above the formula's."""
ASKED = 1000
"""Trials of the statement."""
MOST_HIDDEN, MOST_WORKERS = 64, 8


def whole_trials(trials: int, seed: int) -> tuple[int, int, int]:
    """Count random rounds, those that partition every layer, and those that put weights back.

    Sizes, seeds and rounds are drawn. Sub-networks gathered from random weights are put back to
    where they come from, which may change nothing, and into zeros, where all of the first and the
    last layer has to be found again, and in between nothing at another place.
    """
    rng = np.random.default_rng(seed)
    partitioned = restored = 0
    for _ in range(trials):
        workers, layers = int(rng.integers(1, MOST_WORKERS + 1)), int(rng.integers(1, 4))
        hidden = int(rng.integers(workers, MOST_HIDDEN + 1))
        plan = Rounds(
            workers=workers, local_iterations=1, epochs=8 * workers, hidden=hidden,
            hidden_layers=layers, seed=int(rng.integers(1 << 32)),
        )  # fmt: skip
        groups = plan.groups(int(rng.integers(8)))
        partitioned += all(
            np.array_equal(np.sort(np.concatenate(layer)), np.arange(hidden))
            for layer in groups.layers
        )
        widths = (int(rng.integers(1, 20)), *[hidden] * layers, int(rng.integers(1, 10)))
        weights = [rng.uniform(1, 2, shape) for shape in pairwise(widths)]
        restored += _restores(groups, weights, workers)
    return trials, partitioned, restored


def _restores(groups: Groups, weights: list[NDArray[np.float64]], workers: int) -> bool:
    again, empty = ([factor * array for array in weights] for factor in (1, 0))
    for worker in range(workers):
        part = groups.gather(weights, worker)
        groups.scatter(again, worker, part)
        groups.scatter(empty, worker, part)
    return (
        all(
            np.array_equal(back, whole) and np.array_equal(found, whole * (found > 0))
            for back, found, whole in zip(again, empty, weights, strict=True)
        )
        and bool((empty[0] > 0).all())
        and bool((empty[-1] > 0).all())
    )


def trial_finding(counts: tuple[int, int, int], command: str) -> Finding:
    """Say what random trials say of G1."""
    trials, partitioned, restored = counts
    return Finding(
        statement="G1",
        verdict="refuted" if not trials == partitioned == restored else
        "shown" if trials >= ASKED else "not shown",
        asked=f"groups partition each layer and scatter(gather(W)) is W, in {ASKED} random trials",
        measured=f"{partitioned} and {restored} of {trials}", command=command,
        why="" if trials >= ASKED else "fewer trials",
    )  # fmt: skip


@dataclass(frozen=True, kw_only=True, eq=False)
class Coverage:
    """Weights between two hidden layers that nobody has trained.

    Attributes
    ----------
    workers : int
    shares : NDArray[np.float64]
        By seed and round.
    formula : NDArray[np.float64]
        By round.
    """

    workers: int
    shares: NDArray[np.float64]
    formula: NDArray[np.float64]

    @property
    def above(self) -> float:
        """By how much any share is above the formula's at most."""
        return float((self.shares - self.formula).max())


def coverages(hidden: int, workers: Sequence[int], rounds: int, seeds: int) -> list[Coverage]:
    """Count for each number of workers which weights have been in any worker's sub-network."""
    return [
        Coverage(
            workers=count, formula=np.float64(1 - 1 / count) ** np.arange(1, rounds + 1),
            shares=np.array([_untrained(hidden, count, rounds, seed) for seed in range(seeds)]),
        )
        for count in workers
    ]  # fmt: skip


def coverage_rows(found: Sequence[Coverage]) -> Iterator[tuple[object, ...]]:
    """Yield rows of :data:`COVERAGE`: means over the seeds, after some of the rounds."""
    for each in found:
        rounds = len(each.formula)
        for shown in sorted({1, rounds // 4, rounds // 2, rounds} - {0}):
            yield (
                each.workers, shown, f"{100 * each.shares[:, shown - 1].mean():.3f} %",
                f"{100 * each.formula[shown - 1]:.3f} %",
                f"{100 * each.above:+.3f} %" if shown == rounds else "",
            )  # fmt: skip


def coverage_finding(found: Sequence[Coverage], command: str) -> Finding:
    """Say what the shares say of G6."""
    most = max(each.above for each in found)
    return Finding(
        statement="G6",
        verdict="shown" if most <= ALLOWED else "refuted",
        asked="hidden weights never trained after R rounds at most (1 - 1/m)^R + 2 %",
        measured=f"at most {100 * most:+.2f} % from the formula, after any of "
        f"{len(found[0].formula)} rounds, m = {', '.join(str(each.workers) for each in found)}, "
        f"{len(found[0].shares)} seeds",
        command=command,
    )  # fmt: skip


def _untrained(hidden: int, workers: int, rounds: int, seed: int) -> list[float]:
    plan = Rounds(
        workers=workers, local_iterations=1, epochs=workers * rounds, hidden=hidden,
        hidden_layers=2, seed=seed,
    )  # fmt: skip
    trained, shares = np.zeros((hidden, hidden), dtype=bool), []
    for number in range(rounds):
        inner, outer = plan.groups(number).layers
        for worker in range(workers):
            trained[np.ix_(inner[worker], outer[worker])] = True
        shares.append(float(1 - trained.mean()))
    return shares
