# SPDX-License-Identifier: Apache-2.0
"""Sum memory: adds the array's rows to earlier ones, keeps them and emits one bank."""

from amaranth import Module, Mux, Signal, Value, signed
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from gcnloom_hw.arithmetic.delay import delay_line
from gcnloom_hw.layout import Shapes
from gcnloom_hw.memory.scratchpad import Scratchpad
from gcnloom_spec.config import AcceleratorConfig

__all__ = ["Accumulator", "row_tag"]


def row_tag(config: AcceleratorConfig) -> data.StructLayout:
    """Layout of what is to happen with the row of sums that a step produces."""
    return data.StructLayout(
        {
            "write": 1,
            "clear": 1,
            "emit": 1,
            "last": 1,
            "address": range(max(2, config.sum_depth)),
            "bank": range(max(2, config.right_banks)),
        }
    )


class Accumulator(wiring.Component):
    """Read, add, write back, one row of `columns` sums a cycle.

    A row's `tag` comes `lead` cycles before its `sums`. The row is added to the one at
    `tag.address` (to zero with `clear`), stored with `write`, and its bank `tag.bank` leaves
    with `emit`; `last` leaves with or without it. Output `latency` cycles after `sums`.
    Tags that read an address come :attr:`settle` cycles or more after the tag that writes it.
    Sums wrap modulo ``2 ** sum_width``.

    Parameters
    ----------
    config : AcceleratorConfig
    lead : int
        At least 2.

    Attributes
    ----------
    tag : In(row_tag(config))
    sums : In(data.ArrayLayout(signed(sum_width), columns))
    o : Out(stream.Signature(Shapes.engine_sums))
        Must always be ready.
    """

    latency = 2
    short_latency = 1
    settle = 4

    tag: data.View
    sums: data.View
    o: stream.Interface

    def __init__(self, config: AcceleratorConfig, *, lead: int) -> None:
        self.config = config
        self._lead = lead
        if config.compact:
            self.latency = self.short_latency
        self._row = data.ArrayLayout(signed(config.sum_width), config.columns)
        super().__init__(
            {
                "tag": In(row_tag(config)),
                "sums": In(self._row),
                "o": Out(stream.Signature(Shapes(config).engine_sums)),
            }
        )

    def elaborate(self, platform):
        m = Module()
        tags = delay_line(m, self.tag, self._lead + self.latency, name="tag", reset_less=False)
        tags = tags[-4:] if self.config.compact else tags[-5:]
        reading, fetched, _adding, added = tags[:4]
        leaving = tags[-1]
        earlier = Signal(self._row, reset_less=True)
        total = Signal(self._row, reset_less=True)
        bank = Signal(self.o.p.sums.shape(), reset_less=not self.config.compact)

        m.submodules.memory = memory = Scratchpad(
            width=self.config.columns * self.config.sum_width, depth=self.config.sum_depth
        )
        m.d.comb += memory.read_address.eq(reading.address)
        m.d.sync += Value.cast(earlier).eq(Mux(fetched.clear, 0, memory.read_data))

        for c in range(self.config.columns):
            m.d.sync += total[c].eq(earlier[c] + self.sums[c])
        m.d.comb += [
            memory.write_enable.eq(added.write),
            memory.write_address.eq(added.address),
            memory.write_data.eq(total),
        ]

        banks = data.ArrayLayout(self.o.p.sums.shape(), self.config.right_banks)
        chosen = m.d.comb if self.config.compact else m.d.sync
        with m.Switch(added.bank):
            for b in range(self.config.right_banks):
                with m.Case(b):
                    chosen += bank.eq(data.View(banks, Value.cast(total))[b])
        m.d.comb += [
            self.o.valid.eq(leaving.emit | leaving.last),
            self.o.p.sums.eq(bank),
            self.o.p.emit.eq(leaving.emit),
            self.o.p.last.eq(leaving.last),
        ]
        return m
