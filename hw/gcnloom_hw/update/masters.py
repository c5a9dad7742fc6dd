# SPDX-License-Identifier: Apache-2.0
"""Read ahead the weights and momenta that steps will change."""

from amaranth import Module, Signal, signed
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from gcnloom_hw.memory.port import ADDRESS_BITS, read_request
from gcnloom_hw.streams.gearbox import Unpacker, unpacked_word
from gcnloom_hw.streams.queue import CreditedQueue, Queue
from gcnloom_hw.streams.slices import choose, count_slices, cut
from gcnloom_spec.config import LOCAL_BITS, AcceleratorConfig

__all__ = ["Masters", "arrival", "masters_slice", "words_ahead"]

WORDS_AHEAD = 32
TRANSFERS = 4
"""Transfers whose words have been asked for."""


def words_ahead(config: AcceleratorConfig) -> int:
    """Words asked for before they are needed; fewer where the lanes take longer over one."""
    several = config.masters.items_per_word > 1 or config.update_slices > 1
    return WORDS_AHEAD // 2 if several else WORDS_AHEAD


def arrival(config: AcceleratorConfig) -> int:
    """Cycles from the memory port to the queue of words.

    One where a vector has several words and slices, whose lanes take longer anyway: in so large an
    accelerator the way may be long.
    """
    return int(config.update_slices > 1 and config.masters.words_per_item > 1)


def masters_slice(config: AcceleratorConfig) -> data.StructLayout:
    """Shape of the weights and momenta of a slice of a vector."""
    lanes = data.ArrayLayout(signed(config.master_width), config.update_width)
    return data.StructLayout({"weights": lanes, "momenta": lanes})


class Masters(wiring.Component):
    """Ask for the words of transfers, and give the items in them in order, slice by slice.

    Words of the next transfer are asked for while items of the previous still leave. Asks only
    with room for the answer. One word is asked for a cycle, one slice leaves a cycle where memory
    keeps up, but that an item of several slices has to be there as a whole before the first of
    them leaves. Between the items of two transfers are up to two cycles.

    Parameters
    ----------
    config : AcceleratorConfig

    Attributes
    ----------
    transfers : In(stream.Signature(Masters.transfer))
        First word of some items, and how many they are, at least one.
    requests : Out(stream.Signature(read_request()))
    words : In(stream.Signature(unpacked_word(config.memory_bytes)))
    slices : Out(stream.Signature(masters_slice(config)))
    """

    transfer = data.StructLayout({"address": ADDRESS_BITS, "count": LOCAL_BITS})

    transfers: stream.Interface
    requests: stream.Interface
    words: stream.Interface
    slices: stream.Interface

    def __init__(self, config: AcceleratorConfig) -> None:
        self.config = config
        super().__init__(
            {
                "transfers": In(stream.Signature(self.transfer)),
                "requests": Out(stream.Signature(read_request())),
                "words": In(stream.Signature(unpacked_word(config.memory_bytes))),
                "slices": Out(stream.Signature(masters_slice(config))),
            }
        )

    def elaborate(self, platform):
        m = Module()
        depth = words_ahead(self.config)
        m.submodules.counts = counts = Queue(LOCAL_BITS, depth=TRANSFERS)
        m.submodules.ahead = ahead = CreditedQueue(self.words.payload.shape(), depth=depth)
        # Taking a slice ends here, far from a word's worth of registers.
        m.submodules.leaving = leaving = Queue(self.slices.payload.shape(), depth=2)
        arriving = m.d.sync if arrival(self.config) else m.d.comb
        arriving += [ahead.i.valid.eq(self.words.valid), ahead.i.payload.eq(self.words.payload)]
        m.d.comb += self.words.ready.eq(1)
        wiring.connect(m, inner=leaving.o, outer=wiring.flipped(self.slices))
        self._ask(m, counts.i, ahead)
        self._unpack(m, counts.o, ahead.o, leaving.i)
        return m

    def _ask(self, m, counts, ahead):
        """Issue one request for each word of a transfer."""
        packing = self.config.masters
        transfer = self.transfers.p
        asking = Signal()
        address = Signal(ADDRESS_BITS, reset_less=True)
        # Words, or items of several words, after the one that is asked for.
        left = Signal(LOCAL_BITS, reset_less=True)
        part = Signal(range(max(2, packing.words_per_item)))
        part_last = Signal()
        asked = Signal()
        m.d.comb += [
            self.transfers.ready.eq(~asking & counts.ready),
            counts.valid.eq(self.transfers.valid & ~asking),
            counts.payload.eq(transfer.count),
            part_last.eq(part == packing.words_per_item - 1),
            self.requests.valid.eq(asking & ahead.available),
            self.requests.p.address.eq(address),
            self.requests.p.last.eq(part_last & (left == 0)),
            asked.eq(self.requests.valid & self.requests.ready),
            ahead.take.eq(asked),
        ]
        with m.If(~asking):
            m.d.sync += [
                asking.eq(self.transfers.valid & counts.ready),
                address.eq(transfer.address),
                left.eq((transfer.count - 1) >> (packing.items_per_word - 1).bit_length()),
                part.eq(0),
            ]
        with m.Elif(asked):
            m.d.sync += [address.eq(address + 1), part.eq(part + 1)]
            with m.If(part_last):
                m.d.sync += [part.eq(0), left.eq(left - 1), asking.eq(left != 0)]

    def _unpack(self, m, counts, words, leaving):
        """Give as many items as a transfer has, then drop the rest of its last word."""
        m.submodules.unpack = unpack = Unpacker(self.config.masters, self.config.memory_bytes)
        wiring.connect(m, queue=words, unpack=unpack.words)
        unpacking, final = Signal(), Signal()
        left = Signal(LOCAL_BITS, reset_less=True)
        given, moved = Signal(), Signal()
        present = count_slices(m, self.config.update_slices, moved)
        item_last = present[-1]
        m.d.comb += [
            leaving.valid.eq(unpack.items.valid & unpacking),
            unpack.items.ready.eq(leaving.ready & unpacking & item_last),
            moved.eq(leaving.valid & leaving.ready),
            given.eq(moved & item_last),
            unpack.flush.eq(given & final),
            counts.ready.eq(~unpacking),
        ]
        octets = 8 * self.config.master_bytes
        for place, name in enumerate(("weights", "momenta")):
            size = octets * self.config.lanes
            lanes = unpack.items.payload[place * size : (place + 1) * size]
            part = choose(cut(lanes, self.config.update_slices), present)
            for index, lane in enumerate(leaving.p[name]):
                m.d.comb += lane.eq(part.word_select(index, octets).as_signed())
        with m.If(~unpacking):
            m.d.sync += [
                unpacking.eq(counts.valid),
                left.eq(counts.payload - 1),
                final.eq(counts.payload == 1),
            ]
        with m.Elif(given):
            m.d.sync += [left.eq(left - 1), final.eq(left == 1), unpacking.eq(~final)]
