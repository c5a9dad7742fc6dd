# SPDX-License-Identifier: Apache-2.0
"""From numbers to a finding: how many are as asked, and how they read."""

from collections.abc import Iterable, Sequence

from gcnloom.study.figures import Figures
from gcnloom.study.finding import Finding
from gcnloom.study.statements import STATEMENTS

__all__ = ["apart", "finding", "judged", "listed", "span"]

ASKED = {statement.name: statement.asked for statement in STATEMENTS}


def judged(good: int, total: int) -> str:
    """Shown if all are as asked, refuted if none is, else not shown.

    Examples
    --------
    >>> judged(2, 3)
    'not shown'
    """
    if good == total > 0:
        return "shown"
    return "not shown" if good or not total else "refuted"


def finding(figures: Figures, name: str, verdict: str, measured: str, why: str = "") -> Finding:
    """Return a finding of the study's own runs."""
    return Finding(
        statement=name, verdict=verdict, asked=ASKED[name], measured=measured,
        command=figures.command, why="" if verdict == "shown" else why,
    )  # fmt: skip


def span(values: Sequence[float]) -> str:
    """Return the least and the most of some numbers, to three digits.

    Examples
    --------
    >>> span([1.5, 0.025]), span([2.0])
    ('0.025 to 1.5', '2')
    """
    least, most = (f"{value:.3g}" for value in (min(values), max(values)))
    return least if least == most else f"{least} to {most}"


def apart(measured: float, formula: float) -> float:
    """By what share a measurement differs from its formula; 0 where both are nothing."""
    return abs(measured - formula) / formula if formula else float(measured > 0)


def listed(names: Iterable[object]) -> str:
    """Return different names, in their order."""
    return ", ".join(str(name) for name in dict.fromkeys(names))
