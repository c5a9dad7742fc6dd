# SPDX-License-Identifier: Apache-2.0
"""What every test inside the simulator begins with: settings, clock, reset, agents."""

import json
from collections.abc import Callable, Iterator
from typing import Any

import cocotb
from cocotb.clock import Clock
from cocotb.triggers import FallingEdge, RisingEdge

from gcnloom_sim.bench.ports import Packet, stream_ports
from gcnloom_sim.bench.stalls import named_stalls
from gcnloom_sim.bench.stream import Sink, Source
from gcnloom_spec.config import AcceleratorConfig

__all__ = ["Testbench"]

PERIOD_NS = 10
RESET_CYCLES = 3


class Testbench:
    """A device under test with a clock, and agents that stall as the settings say.

    Parameters
    ----------
    dut : handle

    Attributes
    ----------
    config : AcceleratorConfig
    told : dict
        Settings that :func:`gcnloom_sim.bench.harness.simulate` was given; `stalls` and `seed`
        are for the agents.
    seed : int
    """

    __test__ = False

    def __init__(self, dut: Any) -> None:
        self.dut = dut
        self.told: dict[str, Any] = json.loads(str(cocotb.plusargs["settings"]))
        self.config = AcceleratorConfig.from_mapping(self.told["config"])
        self.seed = int(self.told["seed"])

    async def start(self) -> None:
        """Start a clock of 10 ns; return in the first cycle after reset."""
        Clock(self.dut.clk, PERIOD_NS, unit="ns").start()
        self.dut.rst.value = 1
        await self.cycles(RESET_CYCLES)
        self.dut.rst.value = 0

    async def cycles(self, count: int) -> None:
        """Wait for rising edges."""
        for _ in range(count):
            await RisingEdge(self.dut.clk)

    async def until(self, signal: Any, limit: int) -> None:
        """Wait for the middle of a cycle in which `signal` is high."""
        for _ in range(limit):
            await FallingEdge(self.dut.clk)
            if signal.value:
                return
        raise TimeoutError(f"{signal._name} is still low after {limit} cycles")

    def stalls(self, name: str) -> Iterator[bool]:
        """Stalls of the stream `name`, independent of the other streams'."""
        return named_stalls(self.told["stalls"], f"{self.seed} {name}")

    def source(self, name: str) -> Source:
        """Return a source for the Amaranth stream `name`."""
        return Source(stream_ports(self.dut, name), self.dut.clk, self.stalls(name))

    def sink(self, name: str, report: Callable[[Packet], None]) -> Sink:
        """Return a sink for the Amaranth stream `name`."""
        return Sink(stream_ports(self.dut, name), self.dut.clk, self.stalls(name), report)
