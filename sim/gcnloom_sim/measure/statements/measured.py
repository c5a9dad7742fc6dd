# SPDX-License-Identifier: Apache-2.0
"""A statement measured: the table behind a finding."""

import argparse
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from gcnloom.graphs import datasets
from gcnloom.graphs.graph import Graph
from gcnloom.study.finding import Finding

__all__ = ["Measured", "Say", "graphs_of"]

Say = Callable[[str], None]


@dataclass(frozen=True, kw_only=True)
class Measured:
    """What was measured of a statement.

    Attributes
    ----------
    header : Sequence[str]
    rows : Sequence[Sequence[object]]
        Cells of a table.
    held : Sequence[bool]
        Whether what was asked for is there, case by case.
    asked, measured, why : str
        As a :class:`~gcnloom.study.finding.Finding` has them.
    """

    header: Sequence[str]
    rows: Sequence[Sequence[object]]
    held: Sequence[bool]
    asked: str
    measured: str
    why: str = ""

    @property
    def verdict(self) -> str:
        """Shown in all cases, refuted in all, or not shown in some."""
        if all(self.held):
            return "shown"
        return "not shown" if any(self.held) else "refuted"

    def finding(self, statement: str, command: str) -> Finding:
        """Return what is kept of it."""
        return Finding(
            statement=statement, verdict=self.verdict, asked=self.asked, measured=self.measured,
            command=command, why=self.why,
        )  # fmt: skip


def graphs_of(options: argparse.Namespace, defaults: Sequence[str]) -> list[Graph]:
    """Load the graphs asked for, or the default ones; Cora first where its file is given."""
    names = [options.cora] if options.cora else []
    return [datasets.load(name) for name in [*names, *(options.data or defaults)]]
