# SPDX-License-Identifier: Apache-2.0
"""Operand memory of the dense engine: vector banks side by side, read a row at a time."""

from amaranth import Module, Mux, Signal, Value, signed
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from gcnloom_hw.layout import Shapes
from gcnloom_hw.memory.grouped import GroupedMemory
from gcnloom_spec.config import AcceleratorConfig

__all__ = ["OperandMemory"]


class OperandMemory(wiring.Component):
    """Rows of `banks` vectors: written a group of one bank at a time, read a row at a time.

    The row at `read_address` is at `row` :attr:`latency` cycles later, or zeros if `blank` is
    high in the cycle between. A write is seen by
    reads that start two or more cycles after it was handed over.

    Parameters
    ----------
    config : AcceleratorConfig
    banks : int
        Vectors in a row.
    depth : int
        Rows.

    Attributes
    ----------
    writes : In(stream.Signature(Shapes.vector_write))
        Always ready.
    read_address : In(range(depth))
    blank : In(1)
    enable : In(1)
        A row moves on; only in a compact accelerator, which stops reading so.
    row : Out(data.ArrayLayout(signed(operand_width), banks * lanes))
    """

    latency = 2

    writes: stream.Interface
    read_address: Signal
    blank: Signal
    row: data.View

    def __init__(self, config: AcceleratorConfig, *, banks: int, depth: int) -> None:
        self.config = config
        self._banks = banks
        self._depth = depth
        super().__init__(
            {
                "writes": In(stream.Signature(Shapes(config).vector_write)),
                "read_address": In(range(max(2, depth))),
                "blank": In(1),
                **({"enable": In(1)} if config.compact else {}),
                "row": Out(data.ArrayLayout(signed(config.operand_width), banks * config.lanes)),
            }
        )

    def elaborate(self, platform):
        m = Module()
        # Registered once, because the vector travels to every bank.
        write = Signal(self.writes.payload.shape(), reset_less=True)
        write_valid = Signal()
        group, compact = self.config.vector_group, self.config.compact
        m.d.comb += self.writes.ready.eq(1)
        arrives = m.d.comb if compact else m.d.sync
        arrives += [write.eq(self.writes.payload), write_valid.eq(self.writes.valid)]

        # Block RAM is slow to answer: nothing but a register (with its clear) follows it.
        width = self.config.lanes * self.config.operand_width
        row = Signal(self.row.shape(), reset_less=True)
        for b in range(self._banks):
            m.submodules[f"bank{b}"] = bank = GroupedMemory(
                width=width, depth=self._depth, group=group
            )
            if compact:
                m.d.comb += bank.read_enable.eq(self.enable)
            mine = Signal(name=f"mine{b}")
            m.d.comb += [
                mine.eq(write_valid & (write.bank == b)),
                bank.write_enable.eq(write.enable & mine.replicate(group)),
                bank.write_address.eq(write.address[: len(bank.write_address)]),
                bank.write_data.eq(write.data),
                bank.read_address.eq(self.read_address),
            ]
            part = Value.cast(row)[b * width : (b + 1) * width]
            with m.If(self.enable if compact else 1):
                m.d.sync += part.eq(Mux(self.blank, 0, bank.read_data))
        m.d.comb += self.row.eq(row)
        return m
