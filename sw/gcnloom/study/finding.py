# SPDX-License-Identifier: Apache-2.0
"""What a measurement says of a statement."""

import json
from dataclasses import asdict, dataclass
from pathlib import Path

from gcnloom.errors import DataError

__all__ = ["VERDICTS", "Finding", "load_findings"]

VERDICTS = ("shown", "not shown", "refuted")


@dataclass(frozen=True, kw_only=True)
class Finding:
    """A statement and what was measured of it.

    Attributes
    ----------
    statement : str
        Its name in the table of statements, ``"M1"`` for example.
    verdict : {"shown", "not shown", "refuted"}
        *Not shown* is what was not measured, or not on all that was asked for; *refuted* what was
        measured and is otherwise.
    asked, measured : str
        Numbers with their units, as a reader would want them in a table.
    command : str
        What measures it again.
    why : str
        The cause, where it is not shown.
    """

    statement: str
    verdict: str
    asked: str
    measured: str
    command: str
    why: str = ""

    def __post_init__(self) -> None:
        if self.verdict not in VERDICTS:
            raise ValueError(f"verdict={self.verdict!r} is unknown; try {', '.join(VERDICTS)}")

    def save(self, folder: Path) -> None:
        """Write it to a file of its own in a folder, in place of an earlier one."""
        folder.mkdir(parents=True, exist_ok=True)
        text = json.dumps(asdict(self), indent=1)
        (folder / f"{self.statement}.json").write_text(text + "\n", encoding="utf-8")


def load_findings(folder: Path) -> list[Finding]:
    """Return the findings kept in a folder, by statement."""
    findings = []
    for path in sorted(folder.glob("*.json")):
        try:
            findings.append(Finding(**json.loads(path.read_text(encoding="utf-8"))))
        except (TypeError, ValueError) as error:
            raise DataError(f"{path} is no finding: {error}; try to measure it again") from None
    return findings
