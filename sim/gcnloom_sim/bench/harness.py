# SPDX-License-Identifier: Apache-2.0
"""Run cocotb tests in the simulator of a component, and say why one failed."""

import importlib.util
import json
import os
import shutil
from pathlib import Path
from typing import Any

from gcnloom.errors import DeviceError
from gcnloom_sim.bench.build import TOP, BenchError, build, tail
from gcnloom_sim.verilate import verilator_environment
from gcnloom_spec.config import AcceleratorConfig

__all__ = ["missing", "simulate"]


def missing() -> str | None:
    """Say what keeps benches from running here, in a sentence; None if nothing does."""
    if importlib.util.find_spec("cocotb_tools") is None:
        return "cocotb is not installed; try pip install 'gcnloom[sim]'"
    for tool in ("g++", "make", "perl"):
        if shutil.which(tool) is None:
            return f"{tool} is not installed; try apt-get install g++ make perl"
    try:
        verilator_environment()
    except DeviceError as error:
        return str(error)
    return None


def simulate(
    component: type,
    config: AcceleratorConfig,
    module: str,
    folder: Path,
    *,
    seed: int,
    **settings: Any,
) -> None:
    """Run the tests of a module inside a simulator of a component.

    Parameters
    ----------
    component, config
        See :func:`gcnloom_sim.bench.build.build`.
    module : str
        Import name of the module with the cocotb tests.
    folder : Path
        Where the log and, if the environment has ``WAVES=1``, ``dump.vcd`` go.
    seed : int
        Of all randomness.
    **settings
        What else the tests find in :attr:`gcnloom_sim.bench.testbench.Testbench.told`.

    Raises
    ------
    BenchError
        A test failed, or none ran; says with which settings, and what the log ends with.
    """
    from cocotb_tools.check_results import get_results
    from cocotb_tools.runner import get_runner

    # WAVES is cocotb's own switch; the simulator must be built for it.
    waves = os.environ.get("WAVES", "0") not in ("", "0")
    told = {"config": json.loads(config.to_json()), "seed": seed, **settings}
    log = folder / "simulation.log"
    simulator = build(component, config, waves=waves)
    try:
        results = get_runner("verilator").test(
            test_module=module,
            hdl_toplevel=TOP,
            hdl_toplevel_lang="verilog",
            build_dir=simulator,
            test_dir=folder,
            plusargs=[f"+settings={json.dumps(told)}"],
            seed=seed,
            log_file=log,
            waves=waves,
        )
        tests, failed = get_results(results)
    except (RuntimeError, SystemExit) as error:
        raise BenchError(f"failed with {told}:\n{tail(log)}") from error
    if failed or not tests:
        raise BenchError(f"{failed} of {tests} tests failed with {told}:\n{tail(log)}")
