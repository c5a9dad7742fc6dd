# SPDX-License-Identifier: Apache-2.0
"""Measured rows as tables, aligned for a terminal or in Markdown."""

from collections.abc import Iterable, Mapping, Sequence

from gcnloom_sim.workloads.measurement import Measurement

__all__ = ["aligned", "markdown", "text"]

Table = tuple[str, Sequence[str], Sequence[Sequence[str]]]


def text(rows: Sequence[Measurement], skipped: Mapping[str, str]) -> str:
    """Tables for a terminal: titles, aligned columns, reasons for what was skipped."""
    parts = [f"{title}\n{aligned(header, cells)}" for title, header, cells in _tables(rows)]
    return "\n\n".join([*parts, *_reasons(skipped)]) or "no rows"


def markdown(rows: Sequence[Measurement], skipped: Mapping[str, str]) -> str:
    """Return the same tables in Markdown."""
    parts = []
    for title, header, cells in _tables(rows):
        rule = ["---"] + ["---:"] * (len(header) - 1)
        lines = [f"| {' | '.join(line)} |" for line in (header, rule, *cells)]
        parts.append(f"{title}:\n\n" + "\n".join(lines))
    return "\n\n".join([*parts, *_reasons(skipped)]) or "no rows"


def _tables(rows: Sequence[Measurement]) -> list[Table]:
    if not rows:
        return []
    return [_cycles(rows), _units(rows), _bytes(rows)]


def _cycles(rows: Sequence[Measurement]) -> Table:
    header = (
        "row", "configuration", "memory", "edges", "cycles", "predicted", "error", "ideal",
        "port", "utilisation", "seconds",
    )  # fmt: skip
    cells = [
        (
            row.row.name,
            row.row.config,
            row.memory,
            f"{row.edges:,}",
            f"{row.cycles:,}" if row.cycles else "not run",
            f"{row.predicted:,}",
            f"{100 * row.error:+.1f} %" if row.error is not None else "",
            f"{row.ideal:,}",
            f"{row.memory_cycles:,}",
            _percent(row.utilisation, 1),
            f"{sum(row.seconds.values()):.1f}",
        )
        for row in rows
    ]
    return "Cycles", header, cells


def _units(rows: Sequence[Measurement]) -> Table:
    """Shares of all cycles, a line for each unit of each row, without columns that are empty.

    Waits are of a unit's next command: several at once, and while the one before still runs.
    """
    names = list(
        dict.fromkeys(name for row in rows for unit in row.units.values() for name in unit)
    )
    names = [
        name
        for name in names
        if any(_shown(unit.get(name, 0), row) for row in rows for unit in row.units.values())
    ]
    others = [name.replace("_", " for ") for name in names if name != "active"]
    header = ("row", "unit", "active", "idle", *others)
    cells = []
    for row in rows:
        for name, unit in row.units.items():
            shares = [_shown(unit.get(cause, 0), row) for cause in names if cause != "active"]
            active = unit["active"]
            idle = row.known - active
            cells.append((row.row.name, name, _shown(active, row), _shown(idle, row), *shares))
    return "Units, shares of the cycles", header, cells


def _bytes(rows: Sequence[Measurement]) -> Table:
    streams = sorted({name for row in rows for name, count in row.bytes.items() if count})
    header = ("row", *(name.replace("_", " ") for name in streams), "a cycle", "an edge")
    cells = [
        (
            row.row.name,
            *(f"{row.bytes.get(name, 0):,}" for name in streams),
            f"{row.bytes_per_cycle:.2f}",
            f"{row.bytes_per_edge:.2f}" if row.bytes_per_edge is not None else "",
        )
        for row in rows
    ]
    return "Bytes through the memory port", header, cells


def _shown(count: int, row: Measurement) -> str:
    """Share of a row's cycles, empty below a thousandth."""
    return _percent(count / row.known, 1) if count * 1000 >= row.known else ""


def _percent(share: float, digits: int) -> str:
    return f"{100 * share:.{digits}f} %"


def aligned(header: Sequence[str], cells: Iterable[Sequence[str]]) -> str:
    """Lines of columns, the first two flush left and the others flush right."""
    lines = [header, *cells]
    widths = [max(len(line[column]) for line in lines) for column in range(len(header))]
    texts = [
        "  ".join(
            cell.ljust(width) if column < 2 else cell.rjust(width)
            for column, (cell, width) in enumerate(zip(line, widths, strict=True))
        )
        for line in lines
    ]
    return "\n".join(f"  {line}".rstrip() for line in texts)


def _reasons(skipped: Mapping[str, str]) -> list[str]:
    return ["\n".join(f"{name} was skipped: {reason}" for name, reason in skipped.items())][
        : bool(skipped)
    ]
