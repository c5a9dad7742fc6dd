# SPDX-License-Identifier: Apache-2.0
"""Gearboxes between device-memory words and the items packed in them."""

from amaranth import Cat, Const, Module, Mux, Signal
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from gcnloom_spec.config import Packing

__all__ = ["Packer", "Unpacker", "packed_word", "unpacked_word"]


def unpacked_word(memory_bytes):
    """Layout of a word on its way to an unpacker: `last` is the last word of a transfer."""
    return data.StructLayout({"data": 8 * memory_bytes, "last": 1})


def packed_word(memory_bytes):
    """Layout of a word on its way to memory: `mask` has a bit for each byte to write."""
    return data.StructLayout({"data": 8 * memory_bytes, "mask": memory_bytes, "last": 1})


class Unpacker(wiring.Component):
    """Take words, give the items in them, first item first.

    After the word marked `last` no more words are taken until `flush`, which also drops what is
    left of that word. One item a cycle, or one word a cycle where an item spans words; latency 1.

    Parameters
    ----------
    packing : Packing
    memory_bytes : int

    Attributes
    ----------
    words : In(stream.Signature(unpacked_word(memory_bytes)))
    items : Out(stream.Signature(8 * packing.item_bytes))
    flush : In(1)
    """

    words: stream.Interface
    items: stream.Interface
    flush: Signal

    def __init__(self, packing: Packing, memory_bytes: int) -> None:
        self._packing = packing
        self._memory_bits = 8 * memory_bytes
        super().__init__(
            {
                "words": In(stream.Signature(unpacked_word(memory_bytes))),
                "items": Out(stream.Signature(8 * packing.item_bytes)),
                "flush": In(1),
            }
        )

    def elaborate(self, platform):
        m = Module()
        gives = self._packing.items_per_word
        takes = self._packing.words_per_item
        held = Signal(max(self._memory_bits, len(self.items.payload)), reset_less=True)
        finished = Signal()
        take = Signal()
        give = Signal()
        m.d.comb += [
            take.eq(self.words.valid & self.words.ready),
            give.eq(self.items.valid & self.items.ready),
            self.items.payload.eq(held),
        ]
        if takes == 1:
            left = Signal(range(gives + 1))
            m.d.comb += [
                self.items.valid.eq(left != 0),
                self.words.ready.eq(~finished & ((left == 0) | ((left == 1) & self.items.ready))),
            ]
            with m.If(give):
                m.d.sync += [left.eq(left - 1), held.eq(held >> len(self.items.payload))]
            with m.If(take):
                m.d.sync += [left.eq(gives), held.eq(self.words.p.data)]
            with m.If(self.flush):
                m.d.sync += left.eq(0)
        else:
            filled = Signal(range(takes + 1))
            m.d.comb += [
                self.items.valid.eq(filled == takes),
                self.words.ready.eq(~finished & (~self.items.valid | self.items.ready)),
            ]
            with m.If(take):
                m.d.sync += [
                    filled.eq(Mux(give, 1, filled + 1)),
                    held.eq(Cat(held[self._memory_bits :], self.words.p.data)),
                ]
            with m.Elif(give):
                m.d.sync += filled.eq(0)
            with m.If(self.flush):
                m.d.sync += filled.eq(0)
        with m.If(take & self.words.p.last):
            m.d.sync += finished.eq(1)
        with m.If(self.flush):
            m.d.sync += finished.eq(0)
        return m


class Packer(wiring.Component):
    """Take items, give words of them; a word goes out when it is full or its item is the last.

    One word a cycle where an item spans words, which then has to wait at `items`, with latency 0;
    else one item a cycle, latency 1.

    Parameters
    ----------
    packing : Packing
    memory_bytes : int

    Attributes
    ----------
    items : In(stream.Signature(StructLayout({"data": 8 * packing.item_bytes, "last": 1})))
    words : Out(stream.Signature(packed_word(memory_bytes)))
    """

    items: stream.Interface
    words: stream.Interface

    def __init__(self, packing: Packing, memory_bytes: int) -> None:
        self._packing = packing
        self._memory_bytes = memory_bytes
        item = data.StructLayout({"data": 8 * packing.item_bytes, "last": 1})
        super().__init__(
            {
                "items": In(stream.Signature(item)),
                "words": Out(stream.Signature(packed_word(memory_bytes))),
            }
        )

    def elaborate(self, platform):
        if self._packing.words_per_item == 1:
            return self._gather()
        return self._scatter()

    def _gather(self):
        m = Module()
        count = self._packing.items_per_word
        item_bytes = self._packing.item_bytes
        slots = Signal(data.ArrayLayout(8 * item_bytes, count), reset_less=True)
        filled = Signal(range(count + 1))
        full = Signal()
        last = Signal()
        advance = Signal()
        position = Signal(range(max(2, count)))
        m.d.comb += [
            self.words.valid.eq(full),
            self.words.p.data.eq(slots.as_value()),
            self.words.p.last.eq(last),
            self.words.p.mask.eq(
                Cat((filled > slot).replicate(item_bytes) for slot in range(count))
            ),
            advance.eq(~full | self.words.ready),
            self.items.ready.eq(advance),
            position.eq(Mux(full, 0, filled)),
        ]
        with m.If(advance):
            m.d.sync += full.eq(0)
            with m.If(full):
                m.d.sync += filled.eq(0)
            with m.If(self.items.valid):
                with m.Switch(position):
                    for slot in range(count):
                        with m.Case(slot):
                            m.d.sync += slots[slot].eq(self.items.p.data)
                m.d.sync += [
                    filled.eq(position + 1),
                    full.eq(self.items.p.last | (position == count - 1)),
                    last.eq(self.items.p.last),
                ]
        return m

    def _scatter(self):
        m = Module()
        count = self._packing.words_per_item
        word_bits = 8 * self._memory_bytes
        index = Signal(range(count))
        final = Signal()
        m.d.comb += [
            final.eq(index == count - 1),
            self.words.valid.eq(self.items.valid),
            self.words.p.data.eq(self.items.p.data.word_select(index, word_bits)),
            self.words.p.mask.eq(Const(-1, self._memory_bytes)),
            self.words.p.last.eq(self.items.p.last & final),
            self.items.ready.eq(self.words.ready & final),
        ]
        with m.If(self.words.valid & self.words.ready):
            m.d.sync += index.eq(Mux(final, 0, index + 1))
        return m
