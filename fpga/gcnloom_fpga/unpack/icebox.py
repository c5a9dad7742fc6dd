# SPDX-License-Identifier: Apache-2.0
"""Project IceStorm's description of the iCE40, from where icebox_vlog has it."""

import importlib
import importlib.util
import sys
from collections.abc import Iterable, Mapping
from functools import cache
from pathlib import Path
from typing import Any, Protocol

from gcnloom_spec.toolchain import ICEBOX_VLOG, ToolError

__all__ = ["Configuration", "Place", "configuration"]

Place = tuple[int, int, str]
"""A wire, or a bit of the configuration, of a tile: column, row, name."""


class Configuration(Protocol):
    """What is used of ``icebox.iceconfig``."""

    device: str
    dsp_tiles: list[Mapping[tuple[int, int], Any]]

    def get_dsp_nets_db(self, x: int, y: int) -> Mapping[str, Place]:
        """Return the ports of a multiplier."""

    def get_dsp_config_db(self, x: int, y: int) -> Mapping[str, Place]:
        """Return the configuration bits of a multiplier."""

    def tile_db(self, x: int, y: int) -> Iterable[Any]:
        """Return entries of a tile's bits: where they are, of what kind, and their name."""

    def tile(self, x: int, y: int) -> list[str]:
        """Return the bits of a tile."""

    def pinloc_db(self, package: str) -> Iterable[tuple[str, int, int, int]]:
        """Return pins of a package, each with column, row and number of its cell."""

    def read_file(self, name: str) -> None:
        """Read what iceunpack writes."""


def configuration(text: Path) -> tuple[Configuration, Mapping[Any, Mapping[str, Place]]]:
    """Read an unpacked bitstream; also return where ports of single-port RAMs of its part are."""
    module = _module(Path(ICEBOX_VLOG.find().command).resolve().with_name("icebox.py"))
    read: Configuration = module.iceconfig()
    read.read_file(str(text))
    return read, module.spram_db.get(read.device, {})


@cache
def _module(path: Path) -> Any:
    if not path.exists():
        raise ToolError(
            f"{path} is not there, but icebox_vlog is; try fpga-icestorm's own icebox_vlog "
            f"in ${ICEBOX_VLOG.variable}"
        )
    # It imports its databases by name.
    sys.path.insert(0, str(path.parent))
    try:
        return importlib.import_module(path.stem)
    finally:
        sys.path.remove(str(path.parent))
