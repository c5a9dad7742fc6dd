# SPDX-License-Identifier: Apache-2.0
"""Which mode wins, as foretold and as measured."""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from statistics import mean

from gcnloom.study.figures import Figures, Place
from gcnloom.study.links import Link
from gcnloom.study.store import Run

__all__ = ["Contest", "contests", "guessed", "right"]

LEAST = 3
"""Modes that a contest has at least, one device among them."""


@dataclass(frozen=True, kw_only=True)
class Contest:
    """The modes on one graph, with so many workers, over one link.

    Attributes
    ----------
    graph : str
    workers : int
    link : str
    foretold, measured : str
        The mode with the least modelled time by either.
    loss : float
        Time of the foretold mode over that of the measured one, both as measured.
    """

    graph: str
    workers: int
    link: str
    foretold: str
    measured: str
    loss: float


def contests(figures: Figures, *, to_accuracy: bool) -> list[Contest]:
    """Return a contest for every graph, number of workers and link that three modes ran with.

    Parameters
    ----------
    figures : Figures
    to_accuracy : bool
        Whether time to accuracy decides, the epochs to it being those that were measured; else
        the time of an epoch.
    """
    found = []
    for link in figures.study.links:
        for place in dict.fromkeys((run.case.graph, run.case.workers) for run in figures.runs):
            contest = _contest(figures, place, link, to_accuracy)
            if contest is not None:
                found.append(contest)
    return found


def right(found: list[Contest]) -> int:
    """In how many the foretold mode is the measured one."""
    return sum(contest.foretold == contest.measured for contest in found)


def guessed(found: list[Contest]) -> int:
    """In how many the mode that wins most often wins: what a guess would be right about."""
    return max(Counter(contest.measured for contest in found).values(), default=0)


def _contest(figures: Figures, place: Place, link: Link, to_accuracy: bool) -> Contest | None:
    graph, workers = place
    if workers == 1:
        return None
    times: dict[bool, dict[str, float]] = {}
    for predicted in (False, True):
        times[predicted] = {}
        for mode in figures.study.modes:
            runs = figures.find(mode=mode, graph=graph, workers=workers)
            runs = runs or figures.find(mode=mode, graph=graph, parallel="single")
            time = _time(figures, runs, link, predicted, to_accuracy)
            if time is not None:
                times[predicted][mode] = time
    if len(times[False]) < LEAST:
        return None
    foretold, measured = (min(times[kind], key=times[kind].__getitem__) for kind in (True, False))
    return Contest(
        graph=graph, workers=workers, link=link.name, foretold=foretold, measured=measured,
        loss=times[False][foretold] / times[False][measured],
    )  # fmt: skip


def _time(
    figures: Figures, runs: list[Run], link: Link, predicted: bool, to_accuracy: bool
) -> float | None:
    time: Callable[..., float | None] = figures.seconds
    if to_accuracy:
        time = figures.time_to_accuracy
    each = [time(run, link, predicted=predicted) for run in runs]
    known = [seconds for seconds in each if seconds is not None]
    return mean(known) if known and len(known) == len(each) else None
