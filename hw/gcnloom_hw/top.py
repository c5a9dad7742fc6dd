# SPDX-License-Identifier: Apache-2.0
"""The accelerator with plain ports, for Verilog users, simulators and boards."""

from amaranth import Module
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from gcnloom_hw.accelerator import Accelerator
from gcnloom_hw.memory.axi import Axi4Adapter, Axi4Config, Axi4Signature
from gcnloom_hw.memory.port import ADDRESS_BITS
from gcnloom_spec.config import AcceleratorConfig

__all__ = ["Axi4Top", "Top"]


class Top(wiring.Component):
    """:class:`~gcnloom_hw.accelerator.Accelerator` without stream ports.

    Every transfer happens in a cycle in which its `valid` and `ready` are both high.

    Parameters
    ----------
    config : AcceleratorConfig

    Attributes
    ----------
    read_valid, read_ready, read_address : memory reads, one word each
    answer_valid, answer_ready, answer_data : the words read, in order
    write_valid, write_ready, write_address, write_data, write_mask : memory writes
    register_address, register_write, register_write_data, register_read_data : register bus
    running : Out(1)
    """

    def __init__(self, config: AcceleratorConfig) -> None:
        self.config = config
        bits = 8 * config.memory_bytes
        super().__init__(
            {
                "read_valid": Out(1),
                "read_ready": In(1),
                "read_address": Out(ADDRESS_BITS),
                "answer_valid": In(1),
                "answer_ready": Out(1),
                "answer_data": In(bits),
                "write_valid": Out(1),
                "write_ready": In(1),
                "write_address": Out(ADDRESS_BITS),
                "write_data": Out(bits),
                "write_mask": Out(config.memory_bytes),
                "register_address": In(8),
                "register_write": In(1),
                "register_write_data": In(32),
                "register_read_data": Out(32),
                "running": Out(1),
            }
        )

    def elaborate(self, platform):
        m = Module()
        m.submodules.accelerator = inner = Accelerator(self.config)
        m.d.comb += [
            self.read_valid.eq(inner.addresses.valid),
            inner.addresses.ready.eq(self.read_ready),
            self.read_address.eq(inner.addresses.payload),
            inner.answers.valid.eq(self.answer_valid),
            self.answer_ready.eq(inner.answers.ready),
            inner.answers.payload.eq(self.answer_data),
            self.write_valid.eq(inner.writes.valid),
            inner.writes.ready.eq(self.write_ready),
            self.write_address.eq(inner.writes.p.address),
            self.write_data.eq(inner.writes.p.data),
            self.write_mask.eq(inner.writes.p.mask),
            inner.register_address.eq(self.register_address),
            inner.register_write.eq(self.register_write),
            inner.register_write_data.eq(self.register_write_data),
            self.register_read_data.eq(inner.register_read_data),
            self.running.eq(inner.running),
        ]
        return m


class Axi4Top(wiring.Component):
    """:class:`~gcnloom_hw.accelerator.Accelerator` as an AXI4 manager.

    Parameters
    ----------
    config : AcceleratorConfig
    memory : Axi4Config
        Of words of ``config.memory_bytes``.

    Attributes
    ----------
    m_axi_awaddr, m_axi_wdata, ... : see :class:`~gcnloom_hw.memory.axi.Axi4Signature`
    register_address, register_write, register_write_data, register_read_data : register bus
    running : Out(1)
        Also until the last write has its response.
    memory_error : Out(1)
        An access to memory failed since reset.
    """

    def __init__(self, config: AcceleratorConfig, memory: Axi4Config) -> None:
        self.config = config
        self.memory = memory
        bus = Axi4Signature(memory)
        super().__init__(
            {
                **{f"m_axi_{name}": member for name, member in bus.members.items()},
                "register_address": In(8),
                "register_write": In(1),
                "register_write_data": In(32),
                "register_read_data": Out(32),
                "running": Out(1),
                "memory_error": Out(1),
            }
        )

    def elaborate(self, platform):
        m = Module()
        m.submodules.accelerator = inner = Accelerator(self.config)
        m.submodules.adapter = adapter = Axi4Adapter(self.memory)
        for name in ("addresses", "answers", "writes"):
            sides = {"inner": getattr(inner, name), "adapter": getattr(adapter, name)}
            wiring.connect(m, **sides)
        for name, member in adapter.m_axi.signature.members.items():
            outer, port = getattr(self, f"m_axi_{name}"), getattr(adapter.m_axi, name)
            m.d.comb += outer.eq(port) if member.flow == Out else port.eq(outer)
        m.d.comb += [
            inner.register_address.eq(self.register_address),
            inner.register_write.eq(self.register_write),
            inner.register_write_data.eq(self.register_write_data),
            self.register_read_data.eq(inner.register_read_data),
            self.running.eq(inner.running | ~adapter.idle),
            self.memory_error.eq(adapter.error),
        ]
        return m
