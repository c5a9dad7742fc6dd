# SPDX-License-Identifier: Apache-2.0
"""Measurements on the Verilated accelerator, as Markdown: ``python -m gcnloom_sim.measure``."""

import argparse
import sys
from collections.abc import Iterable, Sequence

from gcnloom.device import open as open_device
from gcnloom_sim.cycles import predict
from gcnloom_sim.cycles.cases import COUNTS, REPEATS, cases
from gcnloom_sim.cycles.timing import Timing

__all__ = ["cycles", "main", "table"]


def table(header: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """Markdown table; all columns but the first are numbers."""
    lines = [header, ["---", *["---:"] * (len(header) - 1)], *rows]
    return "\n".join(f"| {' | '.join(str(cell) for cell in line)} |" for line in lines)


def cycles(config_name: str, counts: Sequence[int]) -> str:
    """Predicted and measured cycles of every kind of command on one configuration.

    ``each`` are the cycles from one command to the next, in closed form and measured; the other
    two are those of a whole program of :data:`~gcnloom_sim.cycles.cases.REPEATS` commands.
    """
    rows = []
    with open_device(f"rtl:{config_name}", memory_megabytes=1) as device:
        timing = Timing(device.config)
        for case in cases(device.config, counts):
            program, counters = case.measure(device)
            _, longer = case.measure(device, 2 * REPEATS)
            predicted, measured = predict(program, device.config).cycles, counters["cycles"]
            closed = max(timing.interval(command) for command in case.commands)
            each = f"{(longer['cycles'] - measured) / REPEATS:.1f}"
            error = f"{100 * (predicted / measured - 1):+.1f} %"
            rows.append((case.name, case.count, closed, each, predicted, measured, error))
    rows.sort(key=lambda row: row[0])
    header = ("command", "items", "each", "measured", "program", "measured", "error")
    return table(header, rows)


def main(arguments: Sequence[str] | None = None) -> int:
    """Print one measurement."""
    parser = argparse.ArgumentParser(prog="python -m gcnloom_sim.measure", description=__doc__)
    parser.add_argument("what", choices=["cycles"])
    parser.add_argument("--config", default="demo", help="name or TOML file (default: demo)")
    parser.add_argument(
        "--counts", type=int, nargs="+", default=COUNTS, help="items of each command"
    )
    chosen = parser.parse_args(arguments)
    print(cycles(chosen.config, chosen.counts))
    return 0


if __name__ == "__main__":
    sys.exit(main())
