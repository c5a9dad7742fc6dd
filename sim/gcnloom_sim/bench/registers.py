# SPDX-License-Identifier: Apache-2.0
"""The accelerator's register bus, by register name."""

from typing import Any

from cocotb.triggers import RisingEdge

from gcnloom_spec.registers import COUNTER_BASE, COUNTERS, READ_CYCLES, REGISTERS

__all__ = ["RegisterBus"]

ADDRESSES = {name: register.address for name, register in REGISTERS.items()}
ADDRESSES |= {name: COUNTER_BASE + index for index, name in enumerate(COUNTERS)}


class RegisterBus:
    """Write and read the registers and counters of a :class:`gcnloom_hw.top.Top`.

    Parameters
    ----------
    dut : handle
    """

    def __init__(self, dut: Any) -> None:
        self._dut = dut
        dut.register_write.value = 0

    async def write(self, name: str, value: int) -> None:
        """Write a register."""
        dut = self._dut
        dut.register_address.value = ADDRESSES[name]
        dut.register_write_data.value = value
        dut.register_write.value = 1
        await RisingEdge(dut.clk)
        dut.register_write.value = 0
        await RisingEdge(dut.clk)

    async def read(self, name: str) -> int:
        """Read a register or a counter."""
        self._dut.register_address.value = ADDRESSES[name]
        for _ in range(READ_CYCLES):
            await RisingEdge(self._dut.clk)
        return int(self._dut.register_read_data.value)
