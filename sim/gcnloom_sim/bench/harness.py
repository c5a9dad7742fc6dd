# SPDX-License-Identifier: Apache-2.0
"""Component and configuration to a cocotb simulation on Verilator; builds are cached."""

import hashlib
import importlib.metadata
import importlib.util
import json
import os
import re
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from gcnloom.errors import DeviceError
from gcnloom_sim.verilate import cache_folder, lock, sources_digest, verilator_environment
from gcnloom_spec.config import AcceleratorConfig

__all__ = ["BenchError", "build", "missing", "simulate"]

TOP = "bench"
VERILATE = ["--no-public-flat-rw", "--no-assert", "-Wno-fatal", "-Wno-lint", "-Wno-style"]
VERILATE += ["--x-assign", "fast", "--x-initial", "fast", "--output-split", "12000"]
# The wheel's precompiled headers are clang's: g++ is to include the headers themselves. Benches
# run for seconds, so that compiling fast is worth more than running fast.
MAKE = ["CFG_CXXFLAGS_PCH_I=-include", "OPT_FAST=-O1", "OPT_SLOW=-O0", "OPT_GLOBAL=-O1"]
PORT = re.compile(r"^  (?:input|output) (?:\[[\d:]+\] )?(\w+);$", re.MULTILINE)
TAIL = 40


class BenchError(Exception):
    """A bench could not be built, or failed."""


def missing() -> str | None:
    """Say what keeps benches from running here, in a sentence; None if nothing does."""
    if importlib.util.find_spec("cocotb_tools") is None:
        return "cocotb is not installed; try pip install 'gcnloom[sim]'"
    for tool in ("g++", "make"):
        if shutil.which(tool) is None:
            return f"{tool} is not installed; try apt-get install g++ make perl"
    try:
        verilator_environment()
    except DeviceError as error:
        return str(error)
    return None


def build(
    component: Callable[[AcceleratorConfig], Any], config: AcceleratorConfig, *, waves: bool = False
) -> Path:
    """Build the simulator of a component, or find it built.

    Parameters
    ----------
    component : class
        Called with `config`; its ports become the ports of the device under test.
    config : AcceleratorConfig
    waves : bool
        The simulator can record every signal.

    Returns
    -------
    Path
        Folder with the simulator.
    """
    name = f"{component.__module__}.{getattr(component, '__qualname__', component)}"
    versions = [importlib.metadata.version(package) for package in ("cocotb", "amaranth")]
    verilator, _ = verilator_environment()
    parts = [sources_digest(), config.digest, name, *versions, str(verilator), str(waves)]
    key = hashlib.sha256("\n".join([*parts, *VERILATE, *MAKE]).encode()).hexdigest()[:24]
    folder = cache_folder() / f"bench-{key}"
    if not folder.exists():
        with lock(folder.with_suffix(".lock")):
            if not folder.exists():
                _build(component(config), folder, waves)
    return folder


def _build(component: Any, folder: Path, waves: bool) -> None:
    from amaranth.back import verilog
    from cocotb_tools.runner import VerilatorControlFile, get_runner

    with tempfile.TemporaryDirectory(dir=folder.parent) as scratch:
        place = Path(scratch)
        text = str(verilog.convert(component, name=TOP, emit_src=False))
        (place / f"{TOP}.v").write_text(text, encoding="utf-8")
        # Access to every signal makes a simulator several times slower: the ports are enough.
        header = text[text.index(f"module {TOP}(") :]
        header = header[: header.index("endmodule")]
        ports = (f'public_flat_rw -module "{TOP}" -var "{port}"\n' for port in PORT.findall(header))
        (place / "ports.vlt").write_text("`verilator_config\n" + "".join(ports), encoding="utf-8")
        log = place / "build.log"
        with _build_environment():
            try:
                get_runner("verilator").build(
                    # The runner takes the language from the last source.
                    sources=[VerilatorControlFile(place / "ports.vlt"), place / f"{TOP}.v"],
                    hdl_toplevel=TOP,
                    build_args=VERILATE,
                    build_dir=place / "build",
                    timescale=("1ns", "1ps"),
                    waves=waves,
                    log_file=log,
                )
            except RuntimeError as error:
                raise BenchError(f"building the simulator failed:\n{_tail(log)}") from error
        finished = place / "finished"
        finished.mkdir()
        (place / "build" / TOP).rename(finished / TOP)
        finished.rename(folder)


@contextmanager
def _build_environment() -> Iterator[None]:
    """Let the runner find Verilator, and make use of its headers; the runner reads `os.environ`."""
    verilator, root = verilator_environment()
    changed = {
        "PATH": f"{verilator.parent}{os.pathsep}{os.environ['PATH']}",
        "VERILATOR_ROOT": str(root),
        "MAKEFLAGS": " ".join(f"'{word}'" if " " in word else word for word in MAKE),
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


def simulate(
    component: Callable[[AcceleratorConfig], Any],
    config: AcceleratorConfig,
    module: str,
    folder: Path,
    **settings: Any,
) -> None:
    """Run the tests of a module inside a simulator of a component.

    Parameters
    ----------
    component, config
        See :func:`build`.
    module : str
        Import name of the module with the cocotb tests.
    folder : Path
        Where the log and, if the environment has ``WAVES=1``, ``dump.vcd`` go.
    **settings
        What the tests find in :attr:`gcnloom_sim.bench.testbench.Testbench.told`, beside `config`.

    Raises
    ------
    BenchError
        A test failed; says with which settings, and what the log ends with.
    """
    from cocotb_tools.runner import get_runner

    # WAVES is cocotb's own switch; the simulator must be built for it.
    waves = os.environ.get("WAVES", "0") not in ("", "0")
    told = {"config": json.loads(config.to_json()), **settings}
    log = folder / "simulation.log"
    runner = get_runner("verilator")
    try:
        runner.test(
            test_module=module,
            hdl_toplevel=TOP,
            hdl_toplevel_lang="verilog",
            build_dir=build(component, config, waves=waves),
            test_dir=folder,
            plusargs=[f"+settings={json.dumps(told)}"],
            seed=settings.get("seed", 1),
            log_file=log,
            waves=waves,
        )
    except (RuntimeError, SystemExit) as error:
        raise BenchError(f"failed with {told}:\n{_tail(log)}") from error
    if waves:
        print(f"waves: {folder / 'dump.vcd'}")


def _tail(log: Path) -> str:
    if not log.exists():
        return "no log was written"
    lines = log.read_text(encoding="utf-8", errors="replace").splitlines()
    return "\n".join([line for line in lines if " INFO " not in line and "***" not in line][-TAIL:])
