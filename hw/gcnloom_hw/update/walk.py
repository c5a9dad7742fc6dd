# SPDX-License-Identifier: Apache-2.0
"""Where the vectors of rows lie in device memory, row by row."""

from amaranth import Module, Mux, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from gcnloom_hw.memory.port import ADDRESS_BITS
from gcnloom_spec.isa import WORDS, Opcode
from gcnloom_spec.packing import Packing

__all__ = ["PANEL_BITS", "Walk"]

PANEL_BITS = WORDS[Opcode.LOSS].fields["panels"]


class Walk(wiring.Component):
    """Go over the words of rows that are cut into panels.

    ::

        for i in count():
            for panel in range(panels):
                for word in range(packing.words_per_item):
                    yield address + panel * pitch + packing.words(i) + word      # of item i

    At the first place in the cycle after `start`; a step a cycle.

    Parameters
    ----------
    packing : Packing
        Items that share a word are a power of two.

    Attributes
    ----------
    start : In(1)
    first_address : In(32)
        Read at `start`.
    panels, pitch : In
        Constant from `start` on.
    advance : In(1)
    address : Out(32)
    item : Out
        Which item of the word.
    first_word, last_word, first_panel, last_panel : Out(1)
    """

    def __init__(self, packing: Packing) -> None:
        self._packing = packing
        super().__init__(
            {
                "start": In(1),
                "first_address": In(ADDRESS_BITS),
                "panels": In(PANEL_BITS),
                "pitch": In(WORDS[Opcode.LOSS].fields["pitch"]),
                "advance": In(1),
                "address": Out(ADDRESS_BITS),
                "item": Out(range(max(2, packing.items_per_word))),
                "first_word": Out(1),
                "last_word": Out(1),
                "first_panel": Out(1),
                "last_panel": Out(1),
            }
        )

    def elaborate(self, platform):
        m = Module()
        words, items = self._packing.words_per_item, self._packing.items_per_word
        row, panel = (Signal(ADDRESS_BITS, name=name, reset_less=True) for name in ("row", "panel"))
        word, number = Signal(range(max(2, words))), Signal(PANEL_BITS)
        next_row, next_panel = Signal(ADDRESS_BITS), Signal(ADDRESS_BITS)
        m.d.comb += [
            self.first_word.eq(word == 0),
            self.last_word.eq(word == words - 1),
            self.first_panel.eq(number == 0),
            self.last_panel.eq(number == (self.panels - 1)[:PANEL_BITS]),
            next_row.eq(row + Mux(self.item == items - 1, words, 0)),
            next_panel.eq(panel + self.pitch),
        ]
        with m.If(self.advance):
            m.d.sync += [word.eq(word + 1), self.address.eq(self.address + 1)]
            with m.If(self.last_word):
                m.d.sync += [
                    word.eq(0),
                    number.eq(number + 1),
                    panel.eq(next_panel),
                    self.address.eq(next_panel),
                ]
                with m.If(self.last_panel):
                    m.d.sync += [
                        number.eq(0),
                        row.eq(next_row),
                        panel.eq(next_row),
                        self.address.eq(next_row),
                        self.item.eq(Mux(self.item == items - 1, 0, self.item + 1)),
                    ]
        with m.If(self.start):
            m.d.sync += [
                word.eq(0),
                number.eq(0),
                self.item.eq(0),
                row.eq(self.first_address),
                panel.eq(self.first_address),
                self.address.eq(self.first_address),
            ]
        return m
