# SPDX-License-Identifier: Apache-2.0
"""Component and configuration to a cocotb simulator; built once, cached by digest."""

import hashlib
import importlib.metadata
import inspect
import os
import re
import shutil
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from gcnloom_sim.verilate import (
    lock,
    sources_digest,
    verilator_environment,
    verilator_version,
)
from gcnloom_spec.config import AcceleratorConfig
from gcnloom_spec.toolchain import cache_folder

__all__ = ["TOP", "BenchError", "build", "tail"]

TOP = "bench"
"""Name of the device under test."""
VERILATE = ["--no-public-flat-rw", "--no-assert", "-Wno-fatal", "-Wno-lint", "-Wno-style"]
VERILATE += ["--x-assign", "fast", "--x-initial", "fast", "--output-split", "12000"]
# The wheel's precompiled headers are clang's: g++ is to include the headers themselves. Benches
# run for seconds, so that compiling fast is worth more than running fast.
MAKE = ["CFG_CXXFLAGS_PCH_I=-include", "OPT_FAST=-O1", "OPT_SLOW=-O0", "OPT_GLOBAL=-O1"]
PORT = re.compile(r"^  (?:input|output) (?:\[[\d:]+\] )?(\w+);$", re.MULTILINE)
TAIL = 40
AHEAD_SECONDS = 3600


class BenchError(Exception):
    """A bench could not be built, or failed."""


def build(component: type, config: AcceleratorConfig, *, waves: bool = False) -> Path:
    """Build the simulator of a component, or find it built.

    Parameters
    ----------
    component : type
        Called with `config`; its ports become the ports of the device under test.
    config : AcceleratorConfig
    waves : bool
        The simulator can record every signal.

    Returns
    -------
    Path
        Folder with the simulator.
    """
    from cocotb_tools.config import libs_dir

    # A component from elsewhere than the gateware is known by its own file.
    text = Path(inspect.getfile(component)).read_text(encoding="utf-8")
    name = f"{component.__module__}.{component.__name__}"
    tools = [verilator_version(*verilator_environment()), importlib.metadata.version("cocotb")]
    # The simulator finds cocotb's libraries where they were when it was linked.
    tools += [str(libs_dir), str(waves), *VERILATE, *MAKE]
    folder = _cached("bench", sources_digest(), config.digest, name, text, *tools)
    if not folder.exists():
        with lock(folder.with_suffix(".lock")):
            if not folder.exists():
                _build(component(config), folder, _cached("runtime", *tools), waves)
    return folder


def tail(log: Path) -> str:
    """Return what a log ends with, without what only informs."""
    if not log.exists():
        return "no log was written"
    lines = log.read_text(encoding="utf-8", errors="replace").splitlines()
    return "\n".join([line for line in lines if " INFO " not in line and "***" not in line][-TAIL:])


def _cached(kind: str, *parts: str) -> Path:
    return (
        cache_folder() / f"{kind}-{hashlib.sha256(chr(10).join(parts).encode()).hexdigest()[:24]}"
    )


def _build(component: Any, folder: Path, runtime: Path, waves: bool) -> None:
    # Imported late: whoever finds the simulator built needs none of these.
    from amaranth.back import verilog

    with tempfile.TemporaryDirectory(dir=folder.parent) as scratch:
        place = Path(scratch)
        text = str(verilog.convert(component, name=TOP, emit_src=False))
        (place / f"{TOP}.v").write_text(text, encoding="utf-8")
        # Access to every signal makes a simulator several times slower: the ports are enough.
        header = text[text.index(f"module {TOP}(") :]
        header = header[: header.index("endmodule")]
        ports = (f'public_flat_rw -module "{TOP}" -var "{port}"\n' for port in PORT.findall(header))
        (place / "ports.vlt").write_text("`verilator_config\n" + "".join(ports), encoding="utf-8")
        made = place / "build"
        made.mkdir()
        for unit in runtime.glob("*.o"):
            # Verilator's own runtime is most of the work. make rebuilds what is older than the
            # makefile, which is still to be written.
            ahead = time.time() + AHEAD_SECONDS
            os.utime(shutil.copy(unit, made), (ahead, ahead))
        _compile(place, made, waves)
        _keep(made.glob("verilated*.o"), place / "runtime", runtime)
        _keep([made / TOP], place / "finished", folder)


def _compile(place: Path, made: Path, waves: bool) -> None:
    from cocotb_tools.runner import VerilatorControlFile, get_runner

    log = place / "build.log"
    with _environment():
        try:
            get_runner("verilator").build(
                # The runner takes the language from the last source.
                sources=[VerilatorControlFile(place / "ports.vlt"), place / f"{TOP}.v"],
                hdl_toplevel=TOP,
                build_args=VERILATE,
                build_dir=made,
                timescale=("1ns", "1ps"),
                waves=waves,
                log_file=log,
            )
        except RuntimeError as error:
            raise BenchError(f"building the simulator failed:\n{tail(log)}") from error


def _keep(files: Iterable[Path], scratch: Path, folder: Path) -> None:
    """Move files to a folder of the cache, all at once, unless another process was faster."""
    scratch.mkdir()
    for file in files:
        file.rename(scratch / file.name)
    if not folder.exists():
        with suppress(OSError):
            scratch.rename(folder)


@contextmanager
def _environment() -> Iterator[None]:
    """Let the runner find Verilator, and make use of its headers; the runner reads `os.environ`."""
    verilator, root = verilator_environment()
    # Verilator's makefiles call a `python`, which a system may have by another name only.
    folders = (str(verilator.parent), str(Path(sys.executable).parent), os.environ["PATH"])
    changed = {
        "PATH": os.pathsep.join(folders),
        "VERILATOR_ROOT": str(root),
        "MAKEFLAGS": " ".join(MAKE),
    }
    before = {name: os.environ.get(name) for name in changed}
    os.environ.update(changed)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value
