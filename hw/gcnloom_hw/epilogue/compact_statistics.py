# SPDX-License-Identifier: Apache-2.0
"""What each tensor's results looked like, in few registers."""

from amaranth import Cat, Module, Mux, Signal
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from gcnloom_hw.arithmetic.delay import delay_line
from gcnloom_hw.memory.scratchpad import Scratchpad
from gcnloom_spec.config import LOCAL_BITS, AcceleratorConfig
from gcnloom_spec.registers import STATISTICS

__all__ = ["CompactStatistics"]

SATURATION_BITS = 32


class CompactStatistics(wiring.Component):
    """Collect over an emission, then merge into the entry of its tensor.

    Accepts one vector's figures a cycle; what becomes of its envelope may come earlier than its
    saturations. An entry is up to date :attr:`latency` cycles after the `last` of an emission;
    no other emission begins before. Envelopes merge by OR, saturations by addition modulo
    ``2 ** 32``.

    Parameters
    ----------
    config : AcceleratorConfig

    Attributes
    ----------
    folded_valid, folded_last : In(1)
        A vector's `envelope`; that of the last one of an emission.
    envelope : In(sum_width)
    valid, last : In(1)
        Its `saturations`; those of the last one.
    saturations : In(range(lanes + 1))
    tensor : In(7)
        Of the emission; steady from its first figure to its last.
    clear : In(1)
        Zero the table; only while `busy` is low.
    clearing : Out(1)
        The table is being zeroed; no emission may end.
    busy : Out(1)
        A merge or a clearing is under way.
    statistic : In(7)
        Entry to read while nothing is merged; it appears in the next cycle.
    read_envelope : Out(sum_width)
    read_saturations : Out(32)
    """

    latency = 3

    def __init__(self, config: AcceleratorConfig) -> None:
        tensor = range(STATISTICS)
        # An emission has at most so many vectors.
        self._count = range((1 << LOCAL_BITS) * config.lanes + 1)
        self.entry = data.StructLayout(
            {"envelope": config.sum_width, "saturations": SATURATION_BITS}
        )
        super().__init__(
            {
                "folded_valid": In(1),
                "folded_last": In(1),
                "envelope": In(config.sum_width),
                "valid": In(1),
                "last": In(1),
                "saturations": In(range(config.lanes + 1)),
                "tensor": In(tensor),
                "clear": In(1),
                "clearing": Out(1),
                "busy": Out(1),
                "statistic": In(tensor),
                "read_envelope": Out(config.sum_width),
                "read_saturations": Out(SATURATION_BITS),
            }
        )

    def elaborate(self, platform):
        m = Module()
        m.submodules.table = table = Scratchpad(width=self.entry.size, depth=STATISTICS)
        envelope, saturations = self._collect(m)
        tensor, merge = Signal.like(self.tensor, reset_less=True), Signal()
        m.d.sync += merge.eq(self.valid & self.last)
        with m.If(self.valid):
            m.d.sync += tensor.eq(self.tensor)

        # Address; read and combine; write.
        _, reads, writes = delay_line(m, merge, 2, name="merge", reset_less=False)
        stored, merged = self.entry(table.read_data), Signal(self.entry, reset_less=True)
        entry = Signal(range(STATISTICS))
        with m.If(self.clearing):
            m.d.sync += [entry.eq(entry + 1), self.clearing.eq(entry != STATISTICS - 1)]
        with m.Elif(self.clear):
            m.d.sync += self.clearing.eq(1)
        with m.If(self.clear | self.clearing):
            m.d.sync += merged.eq(0)
        with m.Elif(reads):
            m.d.sync += [
                merged.envelope.eq(stored.envelope | envelope),
                merged.saturations.eq(stored.saturations + saturations),
            ]
        m.d.comb += [
            self.busy.eq(Cat(self.clearing, self.valid, merge, reads, writes).any()),
            table.read_address.eq(Mux(merge, tensor, self.statistic)),
            table.write_enable.eq(self.clearing | writes),
            table.write_address.eq(Mux(self.clearing, entry, tensor)),
            table.write_data.eq(merged),
            self.read_envelope.eq(stored.envelope),
            self.read_saturations.eq(stored.saturations),
        ]
        return m

    def _collect(self, m):
        """Combine an emission's vectors; the totals stay until the next emission's first."""
        envelope = Signal.like(self.envelope, reset_less=True)
        saturations = Signal(self._count, reset_less=True)
        fresh, folded_fresh = Signal(init=1), Signal(init=1)
        with m.If(self.folded_valid):
            m.d.sync += [
                envelope.eq(Mux(folded_fresh, 0, envelope) | self.envelope),
                folded_fresh.eq(self.folded_last),
            ]
        with m.If(self.valid):
            m.d.sync += [
                saturations.eq(Mux(fresh, 0, saturations) + self.saturations),
                fresh.eq(self.last),
            ]
        return envelope, saturations
