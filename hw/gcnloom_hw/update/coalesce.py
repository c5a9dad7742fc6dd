# SPDX-License-Identifier: Apache-2.0
"""Gather consecutive items into memory words from any place in the first word on."""

from amaranth import Cat, Module, Mux, Signal
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from gcnloom_hw.streams.gearbox import packed_word
from gcnloom_spec.config import Packing

__all__ = ["Coalesce", "placed_item"]


def placed_item(packing: Packing) -> data.StructLayout:
    """Layout of an item with its place in its word; `last` ends a transfer."""
    return data.StructLayout(
        {
            "data": 8 * packing.item_bytes,
            "slot": range(max(2, packing.items_per_word)),
            "last": 1,
        }
    )


class Coalesce(wiring.Component):
    """Take items that say their place, give words with a mask of the bytes that items filled.

    A word goes out when its last place is filled or its item is the last. One item a cycle,
    latency 1.

    Parameters
    ----------
    packing : Packing
        Of one word an item.
    memory_bytes : int

    Attributes
    ----------
    items : In(stream.Signature(placed_item(packing)))
    words : Out(stream.Signature(packed_word(memory_bytes)))
    """

    items: stream.Interface
    words: stream.Interface

    def __init__(self, packing: Packing, memory_bytes: int) -> None:
        self._packing = packing
        super().__init__(
            {
                "items": In(stream.Signature(placed_item(packing))),
                "words": Out(stream.Signature(packed_word(memory_bytes))),
            }
        )

    def elaborate(self, platform):
        m = Module()
        packing = self._packing
        item = self.items.p
        slots = Signal(
            data.ArrayLayout(8 * packing.item_bytes, packing.items_per_word), reset_less=True
        )
        filled = Signal(packing.items_per_word)
        full, last, advance = Signal(), Signal(), Signal()
        m.d.comb += [
            self.words.valid.eq(full),
            self.words.p.data.eq(slots.as_value()),
            self.words.p.mask.eq(Cat(bit.replicate(packing.item_bytes) for bit in filled)),
            self.words.p.last.eq(last),
            advance.eq(~full | self.words.ready),
            self.items.ready.eq(advance),
        ]
        with m.If(advance):
            m.d.sync += full.eq(0)
            with m.If(full):
                m.d.sync += filled.eq(0)
            with m.If(self.items.valid):
                with m.Switch(item.slot):
                    for slot in range(packing.items_per_word):
                        with m.Case(slot):
                            m.d.sync += [
                                slots[slot].eq(item.data),
                                filled.eq(Mux(full, 0, filled) | 1 << slot),
                            ]
                m.d.sync += [
                    full.eq(item.last | (item.slot == packing.items_per_word - 1)),
                    last.eq(item.last),
                ]
        return m
