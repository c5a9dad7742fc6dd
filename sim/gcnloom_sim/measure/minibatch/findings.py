# SPDX-License-Identifier: Apache-2.0
"""What the rows of a measurement say of a statement."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from gcnloom.study.finding import Finding
from gcnloom_sim.measure.minibatch.sampling import COOPERATION, INPUTS, WORKERS
from gcnloom_sim.measure.minibatch.training import ACCURACY, DEPENDENCE
from gcnloom_sim.measure.minibatch.waiting import WAITING

__all__ = ["Claim", "accuracy", "bits", "cooperation", "dependence", "draws", "inputs", "memory",
           "product", "samplers", "waiting"]  # fmt: skip

Rows = Sequence[Sequence[object]]


@dataclass(frozen=True, kw_only=True)
class Claim:
    """A statement, what is asked of it, and how rows are judged.

    Attributes
    ----------
    statement, asked : str
        As a :class:`~gcnloom.study.finding.Finding` has them.
    enough : int
        Rows that it takes to show it.
    judge : callable
        From rows to what was measured, and to what misses.
    """

    statement: str
    asked: str
    enough: int
    judge: Callable[[Rows], tuple[str, list[str]]]

    def finding(self, rows: Rows, command: str) -> Finding:
        """Return what the rows say: refuted where every one misses, not shown where some do."""
        measured, misses = self.judge(rows)
        verdict, why = "shown", "; ".join(misses)
        if misses:
            verdict = "refuted" if len(misses) == len(rows) else "not shown"
        elif len(rows) < self.enough:
            verdict, why = "not shown", f"{len(rows)} rows of {self.enough} were measured"
        return Finding(
            statement=self.statement, verdict=verdict, asked=self.asked, measured=measured,
            command=command, why=why,
        )  # fmt: skip


def inputs(rows: Rows) -> tuple[str, list[str]]:
    """B1: input vertices per seed do not rise, and their number is concave."""
    good = [row for row in rows if tuple(row[-2:]) == ("yes", "yes")]
    largest = INPUTS[-3].removeprefix("of ")
    falls = _list(f"{row[0]} by {row[1]} {row[3]} to {row[-3]}" for row in rows)
    return (
        f"{len(good)} of {len(rows)}; input vertices per seed of 16 to {largest}: {falls}",
        [f"{row[0]} by {row[1]}: not rising {row[-2]}, concave {row[-1]}"
         for row in rows if row not in good],
    )  # fmt: skip


def cooperation(rows: Rows) -> tuple[str, list[str]]:
    """B2: times fewer vertices by cooperation."""
    first = COOPERATION.index(f"P = {WORKERS[0]}")
    asked = (1.4, 2.0, 3.0)
    told, misses = [], []
    for row in rows:
        factors = [_float(cell) for cell in row[first:]]
        told.append(f"{row[0]} by {row[2]} {', '.join(map(str, row[first:]))}")
        if any(found < wanted for found, wanted in zip(factors, asked, strict=True)):
            misses.append(
                f"{row[0]} by {row[2]}: {row[1]} of its vertices have more neighbours than are kept"
            )
    return f"{'; '.join(told)}, {rows[0][3]} layers, {rows[0][4]} seeds a worker", misses


def bits(rows: Rows) -> tuple[str, list[str]]:
    """B3: one worker's weights."""
    shared = [(f"{row[1]} on {row[2]}, P = {row[3]}", row[-1]) for row in rows if row[3] != 1]
    told = _list(place for place, _ in shared)
    return f"the same weights: {told}", [place for place, same in shared if same != "yes"]


def draws(rows: Rows) -> tuple[str, list[str]]:
    """B4: uniform draws, and their correlation."""
    misses = [
        f"kappa = {row[0]}: p = {row[1]}, {row[4]} apart"
        for row in rows if _float(row[1]) <= 0.01 or _float(row[4]) > 0.01
    ]  # fmt: skip
    least, most = min(_float(row[1]) for row in rows), max(_float(row[4]) for row in rows)
    return f"p ≥ {least:.2f}; ± {most:.4f}", misses


def dependence(rows: Rows) -> tuple[str, list[str]]:
    """B5: bytes where nothing is trained, accuracy where something is."""
    told, misses = [], []
    moved = DEPENDENCE.index("less")
    for row in rows:
        if row[5] == "":
            told.append(f"{row[moved]} times fewer bytes on {row[0]}")
            if _float(row[moved]) < 2.5:
                misses.append(f"{row[moved]} times on {row[0]}")
        else:
            told.append(f"{row[5]} points on {row[0]}")
            if abs(_float(row[5])) > 0.3:
                misses.append(f"{row[5]} points on {row[0]}, whose seeds vary by more")
    if len({row[5] == "" for row in rows}) < 2:
        misses.append("bytes and accuracy are both asked for")
    return "; ".join(told), misses


def product(rows: Rows) -> tuple[str, list[str]]:
    """B6: both savings over the product of each."""
    told = _list(f"{row[-1]} on {row[0]}, P = {row[3]}" for row in rows)
    return told, [f"{row[-1]} on {row[0]}, P = {row[3]}" for row in rows if _float(row[-1]) < 0.8]


def samplers(rows: Rows) -> tuple[str, list[str]]:
    """C1: kinds of training that ran on one device."""
    sampled = sorted({str(row[1]) for row in rows if row[1] != "full graph"})
    devices = sorted({str(row[2]) for row in rows})
    missing = [] if len(sampled) >= 3 else [f"{len(sampled)} samplers were tried"]
    return f"{', '.join(sampled)} and the full graph on {', '.join(devices)}", missing


def accuracy(rows: Rows) -> tuple[str, list[str]]:
    """C2: points that sampled training lacks of the full graph's."""
    apart = ACCURACY.index("from full graph")
    sampled = [row for row in rows if row[1] != "full graph"]
    told = [f"{row[0]} by {row[1]} {row[apart]}" for row in sampled]
    misses = [f"{row[0]} by {row[1]} {row[apart]}" for row in sampled if _float(row[apart]) < -0.9]
    work = _list(f"{row[0]} by {row[1]} {row[6] or 'never'}" for row in rows)
    return f"points: {', '.join(told)}; MACs to accuracy: {work}", misses


def memory(rows: Rows) -> tuple[str, list[str]]:
    """C3: device memory of the largest graph over that of the smallest."""
    largest = max(_float(row[0]) for row in rows)
    last = [row for row in rows if _float(row[0]) == largest]
    grown = _float(rows[-1][0]) / _float(rows[0][0])
    told = _list(f"{row[2]} {_float(row[-1]) - 100:+.1f} %" for row in last)
    misses = [
        f"{row[2]}: a batch has {row[5]} inputs, as vertices of a larger graph have fewer "
        "neighbours in common"
        for row in last if abs(_float(row[-1]) - 100) > 10
    ]  # fmt: skip
    return f"{told}, as nodes grow {grown:.0f} times", misses


def waiting(rows: Rows) -> tuple[str, list[str]]:
    """C4: share of the time in which a device waits for its next batch."""
    ahead = WAITING.index("waits, ahead")
    told = [f"{row[ahead]} on {row[2]}, {row[0]}" for row in rows]
    misses = [
        f"{row[0]} on {row[2]}: the host needs {row[3]} for a batch and the device {row[4]}"
        for row in rows if _float(row[ahead]) > 10
    ]  # fmt: skip
    return "; ".join(told), misses


def _float(cell: object) -> float:
    if not isinstance(cell, float):
        raise TypeError(f"{cell!r} is no figure")
    return float(cell)


def _list(parts: Iterable[str]) -> str:
    return ", ".join(parts)
