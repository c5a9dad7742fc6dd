# SPDX-License-Identifier: Apache-2.0
"""What sub-network training does to the accuracy: workers × local iterations × seeds (G2).

The rule, the same for all: of a training those weights count whose look at the validation nodes is
best, and of the local iterations those that are best there in the mean of all seeds. Test nodes
have no say.
"""

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from gcnloom.errors import DataError
from gcnloom.graphs import datasets
from gcnloom.study.finding import Finding
from gcnloom.training.options import Options
from gcnloom_sim.measure.gist.floating import Look, train_gist_float

__all__ = [
    "ACCURACIES",
    "Group",
    "Study",
    "accuracy_finding",
    "accuracy_rows",
    "chosen",
    "grouped",
    "read_studies",
    "study",
]

ACCURACIES = (
    "data", "workers", "ζ", "epochs each", "seeds", "validation", "test", "deviation", "loss",
    "test at the end",
)  # fmt: skip
LIMITS = {2: 0.5, 4: 1.0, 8: 2.0}
"""Points of accuracy that so many workers may lose."""
ASKED_SEEDS, ASKED_DATA = 5, ("cora", "digits")


@dataclass(frozen=True, kw_only=True)
class Study:
    """One training in floating point.

    Attributes
    ----------
    data : str
        Name of the graph.
    workers, local_iterations, seed : int
    options : dict
        Of the training.
    looks : list of Look
        At the whole network, the last one at the end.
    """

    data: str
    workers: int
    local_iterations: int
    seed: int
    options: dict[str, Any]
    looks: list[Look]

    @property
    def kept(self) -> Look:
        """The earliest look with the best validation accuracy, whose weights are kept."""
        return max(self.looks, key=lambda look: look.val)


def study(
    data: str, options: Options, workers: Sequence[int], local_iterations: Sequence[int],
    seeds: int, path: Path | None, progress: Callable[[str], None],
) -> list[Study]:  # fmt: skip
    """Train every combination; one worker only in one round.

    Parameters
    ----------
    data : str
        As ``gcnloom train`` takes it.
    options : Options
    workers, local_iterations : sequence of int
    seeds : int
        Seeds 0, 1...
    path : Path or None
        File of studies: those in it are not repeated, new ones are added one by one.
    progress : callable
        Is told of every training that begins.
    """
    found = read_studies(path) if path is not None and path.is_file() else []
    wanted = []
    for seed in range(seeds):
        graph, chosen = datasets.load(data, seed=seed), replace(options, seed=seed)
        for count in workers:
            for iterations in local_iterations if count > 1 else (options.epochs,):
                key = (graph.name, count, iterations, seed)
                done = next((each for each in found if _is(each, key, chosen)), None)
                if done is None:
                    progress(f"{graph.name}, seed {seed}: {count} workers, {iterations} iterations")
                    looks = list(train_gist_float(graph, chosen, count, iterations))
                    done = Study(
                        data=graph.name, workers=count, local_iterations=iterations, seed=seed,
                        options=chosen.as_dict(), looks=looks,
                    )  # fmt: skip
                    found.append(done)
                    if path is not None:
                        _write(path, found)
                wanted.append(done)
    return wanted


@dataclass(frozen=True, kw_only=True)
class Group:
    """Trainings that differ by their seed.

    Attributes
    ----------
    data : str
    workers, local_iterations : int
    studies : list of Study
    """

    data: str
    workers: int
    local_iterations: int
    studies: list[Study]

    @property
    def val(self) -> float:
        """Mean accuracy of the weights kept on the validation nodes, in percent."""
        return float(np.mean([100 * each.kept.val for each in self.studies]))

    @property
    def tests(self) -> list[float]:
        """Accuracies of the weights kept on the test nodes, in percent, by seed."""
        return [100 * each.kept.test for each in self.studies]

    @property
    def test(self) -> float:
        """Their mean."""
        return float(np.mean(self.tests))


def grouped(studies: Sequence[Study]) -> list[Group]:
    """Put trainings together by graph, workers and local iterations, in order of appearance."""
    groups: dict[tuple[str, int, int], list[Study]] = {}
    for each in studies:
        groups.setdefault((each.data, each.workers, each.local_iterations), []).append(each)
    return [
        Group(data=data, workers=workers, local_iterations=iterations, studies=members)
        for (data, workers, iterations), members in groups.items()
    ]


def chosen(groups: Sequence[Group]) -> dict[tuple[str, int], Group]:
    """Choose the local iterations of each graph and number of workers on validation nodes."""
    best: dict[tuple[str, int], Group] = {}
    for each in groups:
        key = (each.data, each.workers)
        if key not in best or each.val > best[key].val:
            best[key] = each
    return best


def accuracy_rows(studies: Sequence[Study]) -> Iterator[tuple[object, ...]]:
    """Yield a row of :data:`ACCURACIES` for each number of workers and of local iterations.

    Accuracies are means over the seeds, in percent, of the weights kept but for the last column;
    the *loss* is in points below one worker's. Local iterations chosen are in bold.
    """
    groups = grouped(studies)
    best = chosen(groups)
    for each in groups:
        alone = best.get((each.data, 1))
        iterations = f"{each.local_iterations}"
        yield (
            each.data, each.workers,
            f"**{iterations}**" if best[each.data, each.workers] is each else iterations,
            each.studies[0].looks[-1].epoch, len(each.studies), f"{each.val:.2f}",
            f"{each.test:.2f}", f"{np.std(each.tests):.2f}",
            f"{alone.test - each.test:+.2f}" if alone else "",
            f"{np.mean([100 * study.looks[-1].test for study in each.studies]):.2f}",
        )  # fmt: skip


def accuracy_finding(studies: Sequence[Study], alike: bool, command: str) -> Finding:
    """Say what the trainings say of G2, and whether one worker has the bits of ordinary training.

    Shown takes both graphs, all of :data:`LIMITS` and five seeds of each.
    """
    best, parts, missing, kept = chosen(grouped(studies)), [], [], alike
    for data in ASKED_DATA:
        alone = best.get((data, 1))
        for workers, limit in LIMITS.items():
            each = best.get((data, workers))
            if alone is None or each is None or len(each.studies) < ASKED_SEEDS:
                missing.append(f"{data} with {workers} workers")
                continue
            loss = alone.test - each.test
            kept &= loss <= limit
            parts.append(f"{data} m = {workers} (ζ = {each.local_iterations}) {-loss:+.2f}")
    missed = f"fewer than {ASKED_SEEDS} seeds of {', '.join(missing)}" if missing else ""
    return Finding(
        statement="G2",
        verdict="refuted" if not kept else "not shown" if missing else "shown",
        asked="m = 1 is ordinary training, bit for bit; m = 2, 4, 8 lose at most 0.5, 1.0 and 2.0 "
        f"points at equal total epochs, {ASKED_SEEDS} seeds",
        measured=f"m = 1: {'same' if alike else 'other'} bits; points of test accuracy: "
        f"{', '.join(parts) or 'none'}",
        command=command, why=missed,
    )  # fmt: skip


def read_studies(path: Path) -> list[Study]:
    """Read what :func:`study` wrote."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        return [
            Study(**each | {"looks": [Look(**look) for look in each["looks"]]}) for each in content
        ]
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise DataError(
            f"{path} holds no studies ({error}); try a file that `measure gist accuracy` wrote"
        ) from error


def _is(each: Study, key: tuple[object, ...], options: Options) -> bool:
    """Whether a training is of these numbers and options."""
    same = key == (each.data, each.workers, each.local_iterations, each.seed)
    return same and not options.differences(each.options, ignore=())


def _write(path: Path, studies: Sequence[Study]) -> None:
    """One study a line, so that a change can be read."""
    lines = [json.dumps(_rounded(each), sort_keys=True) for each in studies]
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("[\n" + ",\n".join(lines) + "\n]\n", encoding="utf-8")


def _rounded(each: Study) -> dict[str, Any]:
    looks = [
        {"epoch": look.epoch, "val": round(look.val, 5), "test": round(look.test, 5)}
        for look in each.looks
    ]
    return asdict(each) | {"looks": looks}
