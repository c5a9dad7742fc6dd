# SPDX-License-Identifier: Apache-2.0
"""Numbers of a study's runs: time on links, epochs to accuracy, bytes by what they are for."""

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import mean
from typing import Any

from gcnloom.study.cases import Study
from gcnloom.study.links import Link, epoch_seconds
from gcnloom.study.store import Run

__all__ = ["FEATURES", "Figures", "Place"]

FEATURES = ("activations", "logits", "gradients", "ids")
"""Classes of messages that carry features of nodes, their gradients, or who they are."""
Place = tuple[str, int]
"""A graph, and a number of workers."""


@dataclass(frozen=True, kw_only=True)
class Figures:
    """A study and its runs.

    Attributes
    ----------
    study : Study
    runs : tuple of Run
        Those that did not fail.
    failed : tuple of Run
    command : str
        What repeats the study.
    """

    study: Study
    runs: tuple[Run, ...]
    failed: tuple[Run, ...]
    command: str

    @classmethod
    def of(cls, study: Study, runs: Sequence[Run], command: str) -> "Figures":
        """Set aside what failed."""
        return cls(
            study=study, command=command, runs=tuple(run for run in runs if not run.error),
            failed=tuple(run for run in runs if run.error),
        )  # fmt: skip

    def find(self, **wanted: Any) -> list[Run]:
        """Find runs whose cases have these attributes.

        Examples
        --------
        ``figures.find(parallel="mop", graph="digits", workers=2)``
        """
        return [
            run for run in self.runs
            if all(getattr(run.case, name) == value for name, value in wanted.items())
        ]  # fmt: skip

    def exact(self, parallel: str, **wanted: Any) -> list[Run]:
        """Find runs of a kind of training that reads nothing stale."""
        found = self.find(parallel=parallel, **wanted)
        return [run for run in found if not dict(run.case.options).get("staleness")]

    def epoch(self, link: Link, parallel: str, place: Place) -> float:
        """Modelled seconds of an epoch, the mean of runs of a kind at a place."""
        graph, workers = place
        runs = self.exact(parallel, graph=graph, workers=workers)
        return mean(self.seconds(run, link) for run in runs)

    def places(self, *parallel: str) -> list[Place]:
        """Graphs with numbers of workers that all these kinds of training ran with."""
        each = [{_place(run) for run in self.exact(kind)} for kind in parallel]
        return sorted(set.intersection(*each), key=self._order) if each else []

    def alone(self, run: Run) -> list[Run]:
        """Find runs of one device that have this one's graph and seed."""
        return self.find(parallel="single", graph=run.case.graph, seed=run.case.seed)

    def beside(self, run: Run) -> Run | None:
        """Return the run of one device that has this one's graph, seed and epochs."""
        mine = dict(run.case.options).get("epochs")
        for other in self.alone(run):
            if dict(other.case.options).get("epochs") == mine:
                return other
        return None

    def seconds(self, run: Run, link: Link, *, predicted: bool = False) -> float:
        """Modelled time of an epoch, from what was measured or from what was foretold."""
        numbers = run.result["predicted" if predicted else "measured"]["per_worker"]
        return epoch_seconds(numbers, link, self.study.clock)

    def target(self, graph: str) -> float | None:
        """Return what validation accuracy counts as reached: a share of the first mode's best."""
        first = self.find(mode=self.study.modes[0], graph=graph)
        best = [run.result["accuracy"]["val"] for run in first]
        return self.study.target * mean(best) if best and None not in best else None

    def epochs_to_accuracy(self, run: Run) -> int | None:
        """Epochs of a worker until its graph's target; None if it was not reached."""
        target, kept = self.target(run.case.graph), run.result["accuracy"]["val"]
        if target is None or kept is None or kept < target:
            return None
        options = dict(run.case.options)
        # Elsewhere an epoch looks at the weights that it begins with.
        ended = run.case.parallel == "gist" or options.get("update", "device") == "device"
        for epoch, accuracy in enumerate(run.result["validation"]):
            if accuracy is not None and accuracy >= target:
                return max(1, epoch + ended)
        return int(run.result["epochs"])

    def time_to_accuracy(self, run: Run, link: Link, *, predicted: bool = False) -> float | None:
        """Epochs to accuracy times the modelled time of one, foretold or measured."""
        epochs = self.epochs_to_accuracy(run)
        return None if epochs is None else epochs * self.seconds(run, link, predicted=predicted)

    def features(self, run: Run) -> float:
        """Bytes of features of all workers in an epoch: sent, and fetched."""
        parallel = run.result.get("parallel", {})
        kinds, counted = parallel.get("bytes_per_epoch", {}), run.result["measured"]["per_worker"]
        sent = sum(kinds[kind]["measured"] for kind in FEATURES if kind in kinds)
        if "sampling" in parallel:
            # Batches differ from epoch to epoch, and what is reduced hardly: the mean of all bytes
            # without it.
            every = sum(numbers["measured"] for numbers in kinds.values())
            sent = sum(counted["bytes"]) - (every - sent)
        return float(sent + sum(counted["fetched_bytes"]))

    def _order(self, place: Place) -> tuple[int, int]:
        return self.study.graphs.index(place[0]), place[1]


def _place(run: Run) -> Place:
    return run.case.graph, run.case.workers
