# SPDX-License-Identifier: Apache-2.0
"""What every test inside the simulator begins with: its settings, a clock, a reset."""

import json
from typing import Any

import cocotb
from cocotb.clock import Clock
from cocotb.triggers import RisingEdge

__all__ = ["settings", "start_clock"]

PERIOD_NS = 10
RESET_CYCLES = 3


def settings() -> dict[str, Any]:
    """Settings that :func:`gcnloom_sim.bench.harness.simulate` was given."""
    return dict(json.loads(cocotb.plusargs["settings"]))


async def start_clock(dut: Any) -> None:
    """Start a clock of 10 ns; return in the first cycle after reset."""
    Clock(dut.clk, PERIOD_NS, unit="ns").start()
    dut.rst.value = 1
    for _ in range(RESET_CYCLES):
        await RisingEdge(dut.clk)
    dut.rst.value = 0
