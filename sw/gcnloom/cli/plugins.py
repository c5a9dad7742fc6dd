# SPDX-License-Identifier: Apache-2.0
"""Commands that other packages bring, found through entry points."""

from importlib.metadata import EntryPoint, entry_points
from typing import Any

from gcnloom.errors import ConfigError

__all__ = ["GROUP", "add_commands"]

GROUP = "gcnloom.command"
"""Entry-point group of callables that add the command of their name to the parser's."""
SIMULATION = {
    "bench": "measure named workloads on the RTL, against prediction and ideal",
    "explore": "search the configuration that is fastest for a graph within given resources",
}
"""Commands that come with the extra ``sim``."""
BOARDS = {
    "boards": "list the boards that can be built",
    "build": "build a board's bitstream, with a report",
    "program": "load a built bitstream into a board's FPGA",
    "flash": "write a built bitstream to a board's flash memory",
    "report": "print the report of a build again",
}
"""Commands that come with the extra ``fpga``."""


def add_commands(commands: Any, wanted: str | None) -> None:
    """Add every command that is installed; load only the `wanted` one, as that takes a while.

    Raises
    ------
    ConfigError
        The wanted command belongs to an extra that is not installed.
    """
    found = {entry.name: entry for entry in entry_points(group=GROUP)}
    if wanted in SIMULATION and wanted not in found:
        raise ConfigError(f"{wanted!r} needs simulation; try: pip install 'gcnloom[sim]'")
    if wanted in BOARDS and wanted not in found:
        raise ConfigError(f"{wanted!r} needs the build flow; try: pip install 'gcnloom[fpga]'")
    for name, entry in sorted(found.items()):
        if name == wanted:
            _load(entry)(commands)
        else:
            commands.add_parser(name, help=(SIMULATION | BOARDS).get(name, f"from {entry.module}"))


def _load(entry: EntryPoint) -> Any:
    try:
        return entry.load()
    except ImportError as error:
        raise ConfigError(
            f"{entry.name!r} needs a package that is missing ({error}); "
            f"try: pip install 'gcnloom[{'fpga' if entry.name in BOARDS else 'sim'}]'"
        ) from error
