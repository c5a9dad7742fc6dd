# SPDX-License-Identifier: Apache-2.0
"""`python -m gcnloom_fpga.flow.page REPORTS PAGE...`: put the boards' table into pages.

REPORTS is a folder with a folder for each board that was built, as `gcnloom build -o` leaves it. In
a page the table stands between two comments, which stay.
"""

import argparse
import json
import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

__all__ = ["BEGIN", "END", "board_rows", "filled"]

BEGIN, END = "<!-- boards: begin -->", "<!-- boards: end -->"
HEADING = (
    "board", "part", "multipliers", "LUT", "FF", "block RAM", "DSP", "device memory",
    "clock MHz", "Fmax MHz: min, median, max", "seeds",
)  # fmt: skip
RESOURCES = ("LUT", "FF", "EBR", "DSP")


def board_rows(reports: Path, page: Path) -> list[tuple[str, ...]]:
    """One row for each report below a folder, by its board's name, with a link from the page."""
    return [
        _row(
            Path(os.path.relpath(path, page.parent)).as_posix(), json.loads(path.read_text("utf-8"))
        )
        for path in sorted(reports.glob("*/report.json"))
    ]


def _row(link: str, report: Mapping[str, Any]) -> tuple[str, ...]:
    used = report["used"]
    taken = (f"{used[name]['used']:,} of {used[name]['available']:,}" for name in RESOURCES)
    rates = report.get("fmax_mhz")
    fmax = f"{rates['min']:g}, **{rates['median']:g}**, {rates['max']:g}" if rates else "not routed"
    return (
        f"[{report['title']}]({link})",
        report["part"],
        str(report["config"]["multipliers"]),
        *taken,
        report["memory"],
        f"{report['clock']['hertz'] / 1e6:g}",
        fmax,
        str(len(report.get("seeds", ()))),
    )


def filled(page: str, rows: Sequence[Sequence[str]]) -> str:
    """Return a page with its table replaced.

    Raises
    ------
    ValueError
        The page has no place for it.
    """
    before, begin, rest = page.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise ValueError(f"the page has no lines {BEGIN} and {END}; add them")
    lines = [f"| {' | '.join(row)} |" for row in (HEADING, ["---"] * len(HEADING), *rows)]
    return "\n".join([before + BEGIN, *lines, END + after])


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; return its exit code."""
    parser = argparse.ArgumentParser(prog="python -m gcnloom_fpga.flow.page", description=__doc__)
    parser.add_argument("reports", type=Path, metavar="REPORTS")
    parser.add_argument("pages", type=Path, nargs="+", metavar="PAGE")
    options = parser.parse_args(arguments)
    try:
        for page in options.pages:
            rows = board_rows(options.reports, page)
            page.write_text(filled(page.read_text("utf-8"), rows), encoding="utf-8")
    except (OSError, ValueError) as error:
        print(f"{page}: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
