# SPDX-License-Identifier: Apache-2.0
"""What sub-network training does to the accuracy: workers × local iterations × seeds (G2)."""

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from gcnloom.errors import DataError
from gcnloom.graphs import datasets
from gcnloom.training.options import Options
from gcnloom_sim.measure.gist_float import Look, train_gist_float

__all__ = ["ACCURACIES", "Study", "accuracy_rows", "read_studies", "study"]

ACCURACIES = (
    "data", "workers", "local iterations", "epochs each", "seeds", "test", "deviation", "loss",
    "validation", "best look",
)  # fmt: skip


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
        """The earliest look with the best validation accuracy."""
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


def accuracy_rows(studies: Sequence[Study]) -> Iterator[tuple[object, ...]]:
    """Yield a row of :data:`ACCURACIES` for each number of workers and of local iterations.

    Accuracies are means over the seeds, in percent: on the test nodes at the end, its standard
    deviation, what it is below that of one worker; on the validation nodes at the end; on the
    test nodes at the look with the best validation accuracy. One worker has one look, at the end.
    """
    groups: dict[tuple[str, int, int], list[Study]] = {}
    for each in studies:
        groups.setdefault((each.data, each.workers, each.local_iterations), []).append(each)
    alone: dict[str, float] = {}
    for (data, workers, iterations), members in groups.items():
        test = [100 * each.looks[-1].test for each in members]
        if workers == 1:
            alone[data] = float(np.mean(test))
        val = np.mean([100 * each.looks[-1].val for each in members])
        kept = np.mean([100 * each.kept.test for each in members])
        loss = f"{alone[data] - np.mean(test):+.2f}" if data in alone else ""
        yield (
            data, workers, iterations, members[0].looks[-1].epoch, len(members),
            f"{np.mean(test):.2f}", f"{np.std(test):.2f}", loss, f"{val:.2f}", f"{kept:.2f}",
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
