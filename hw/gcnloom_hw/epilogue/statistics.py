# SPDX-License-Identifier: Apache-2.0
"""What each tensor's results looked like: their envelope, and how many were clipped."""

from amaranth import Module, Mux, Signal
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from gcnloom_hw.arithmetic.delay import delay_line
from gcnloom_hw.memory.scratchpad import Scratchpad
from gcnloom_spec.config import AcceleratorConfig
from gcnloom_spec.registers import STATISTICS

__all__ = ["Statistics"]

SATURATION_BITS = 32


class Statistics(wiring.Component):
    """Collect over an emission, then merge into the entry of its tensor.

    Accepts one vector's figures a cycle. An entry is up to date :attr:`latency` cycles after the
    `last` of an emission. Envelopes merge by OR, saturations by addition modulo ``2 ** 32``.

    Parameters
    ----------
    config : AcceleratorConfig
    most : int, optional
        Most saturations of a vector; as many as it has lanes if left out.

    Attributes
    ----------
    valid, last : In(1)
        Figures of a vector; of the last one of an emission. After that the next vector comes no
        sooner than :attr:`latency` cycles later: until then the figures are merged.
    tensor : In(7)
    envelope : In(sum_width)
    saturations : In(range(most + 1))
    clear : In(1)
        Zero the table; only while `busy` is low.
    clearing : Out(1)
        The table is being zeroed; no emission may end.
    busy : Out(1)
        A merge or a clearing is under way.
    statistic : In(7)
        Entry to read; it appears at most 4 cycles later and is kept up to date.
    read_envelope : Out(sum_width)
    read_saturations : Out(32)
    forget : In(1)
        Zero the envelope of the entry that is read, of a tensor of which nothing is inside; that
        stays the one to read for three more cycles.
    """

    latency = 4

    def __init__(self, config: AcceleratorConfig, *, most: int | None = None) -> None:
        tensor = range(STATISTICS)
        self.entry = data.StructLayout(
            {"envelope": config.sum_width, "saturations": SATURATION_BITS}
        )
        super().__init__(
            {
                "valid": In(1),
                "last": In(1),
                "tensor": In(tensor),
                "envelope": In(config.sum_width),
                "saturations": In(range((most or config.lanes) + 1)),
                "clear": In(1),
                "clearing": Out(1),
                "busy": Out(1),
                "statistic": In(tensor),
                "read_envelope": Out(config.sum_width),
                "read_saturations": Out(SATURATION_BITS),
                "forget": In(1),
            }
        )

    def elaborate(self, platform):
        m = Module()
        m.submodules.table = table = Scratchpad(width=self.entry.size, depth=STATISTICS)
        combine = Signal()
        merge, tensor, total = self._collect(m, combine)

        # Merge: address, read, register, combine, write.
        stored = Signal(self.entry, reset_less=True)
        merged = Signal(self.entry, reset_less=True)
        stages = delay_line(m, merge, self.latency - 1, name="merge", reset_less=False)
        m.d.comb += combine.eq(stages[2])
        m.d.comb += table.read_address.eq(Mux(merge, tensor, self.statistic))
        m.d.sync += [
            stored.eq(table.read_data),
            merged.envelope.eq(stored.envelope | total.envelope),
            merged.saturations.eq(stored.saturations + total.saturations),
        ]
        # What was read in the cycle of a write may be anything.
        wrote = Signal()
        m.d.sync += wrote.eq(table.write_enable)
        with m.If(~stages[1] & ~wrote):
            m.d.sync += [
                self.read_envelope.eq(self.entry(table.read_data).envelope),
                self.read_saturations.eq(self.entry(table.read_data).saturations),
            ]

        forgotten = Signal(self.entry)  # Its envelope is zero.
        # A merge goes before it.
        forgetting = Signal()
        with m.If(self.forget):
            m.d.sync += forgetting.eq(1)
        with m.Elif(~stages[3]):
            m.d.sync += forgetting.eq(0)
        m.d.comb += forgotten.saturations.eq(self.read_saturations)
        clearing = self.clearing
        entry = Signal(range(STATISTICS))
        with m.If(clearing):
            m.d.sync += [entry.eq(entry + 1), clearing.eq(entry != STATISTICS - 1)]
        with m.Elif(self.clear):
            m.d.sync += clearing.eq(1)
        with m.If(clearing | self.clear):
            m.d.sync += merged.eq(0)
        m.d.comb += [
            self.busy.eq(clearing | self.valid | merge | stages[1] | stages[2] | stages[3]),
            table.write_enable.eq(clearing | stages[3] | forgetting),
            table.write_address.eq(Mux(clearing, entry, Mux(stages[3], tensor, self.statistic))),
            table.write_data.eq(Mux(clearing | stages[3], merged.as_value(), forgotten.as_value())),
        ]
        return m

    def _collect(self, m, combine):
        """Combine an emission's vectors; the total is zero again after `combine`."""
        total = Signal(self.entry)
        tensor = Signal(range(STATISTICS), reset_less=True)
        merge = Signal()
        m.d.sync += merge.eq(self.valid & self.last)
        with m.If(combine):
            m.d.sync += total.eq(0)
        with m.Elif(self.valid):
            m.d.sync += [
                total.envelope.eq(total.envelope | self.envelope),
                total.saturations.eq(total.saturations + self.saturations),
                tensor.eq(self.tensor),
            ]
        return merge, tensor, total
