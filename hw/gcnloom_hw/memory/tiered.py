# SPDX-License-Identifier: Apache-2.0
"""Device memory in two tiers: the first words in block RAM, the others in a memory behind it."""

from amaranth import Cat, Module, Mux, Signal
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from gcnloom_hw.memory.block_ram import BlockRamMemory
from gcnloom_hw.memory.port import ADDRESS_BITS, OUTSTANDING, write_request
from gcnloom_hw.streams.queue import Queue

__all__ = ["TieredMemory"]

WAITING = 16
"""Reads of block RAM that wait until answers to reads before them have made room for theirs."""

PENDING = 2
"""Writes that wait for their tier."""


class TieredMemory(wiring.Component):
    """The accelerator's memory port on block RAM for the first words and on `far` for the others.

    Accepts a read and a write in every cycle as long as the tier of each does. Answers come in
    the order of asking: one of block RAM :attr:`latency` cycles after its read, or when those
    before it are answered; meanwhile :attr:`near_reads` of them wait, and reads of the other tier
    go on being asked. At most :data:`PENDING` writes wait for their tier. A read of a word that
    one of them is for goes on when none waits any more, and no read waits in front of a tier
    longer than in its turn, so that a read asked after a write was accepted sees it.

    Parameters
    ----------
    memory_bytes : int
        Bytes of a word.
    near_words : int
        Words in block RAM.
    far : wiring.Component
        With `addresses`, `answers` and `writes` as here, such as an
        :class:`~gcnloom_hw.dram.controller.SdramController`. It becomes a submodule, and is
        asked for the same addresses, those of block RAM left out.

    Attributes
    ----------
    addresses : In(stream.Signature(32))
    answers : Out(stream.Signature(8 * memory_bytes))
    writes : In(stream.Signature(write_request(memory_bytes)))
    pins
        Those of `far`, if it has any.
    """

    latency = 3 * Queue.latency + BlockRamMemory.latency
    near_reads = WAITING + BlockRamMemory.reads

    addresses: stream.Interface
    answers: stream.Interface
    writes: stream.Interface

    def __init__(self, *, memory_bytes: int, near_words: int, far: wiring.Component) -> None:
        if not 0 < near_words < 1 << ADDRESS_BITS:
            raise ValueError(
                f"near_words={near_words} is outside 1..{(1 << ADDRESS_BITS) - 1}; try 4096, or "
                "leave out the tier"
            )
        self._memory_bytes, self._near_words, self._far = memory_bytes, near_words, far
        pins = {name: each for name, each in far.signature.members.items() if name == "pins"}
        super().__init__(
            {
                **pins,
                "addresses": In(stream.Signature(ADDRESS_BITS)),
                "answers": Out(stream.Signature(8 * memory_bytes)),
                "writes": In(stream.Signature(write_request(memory_bytes))),
            }
        )

    def elaborate(self, platform):
        m = Module()
        m.submodules.near = near = BlockRamMemory(
            memory_bytes=self._memory_bytes, words=self._near_words
        )
        m.submodules.far = far = self._far
        if "pins" in far.signature.members:
            wiring.connect(m, inner=far.pins, outer=wiring.flipped(self.pins))
        self._read(m, near, far, self._write(m, near, far))
        return m

    def _read(self, m, near, far, writes):
        """Send each read to its tier, and take its answer from there in its turn."""
        # Which tier it is, and whether a write to the same word waited when it came, is in
        # flip-flops: they decide whether the read can go on.
        m.submodules.reads = reads = Queue(ADDRESS_BITS + 2, depth=2, registered=2)
        m.submodules.near_reads = near_reads = Queue(ADDRESS_BITS, depth=WAITING)
        # The tiers are far from whoever reads, and both from each other: the order of answers is
        # kept where they leave; turns, what the far tier is asked, and answers wait in between.
        m.submodules.far_reads = far_reads = Queue(ADDRESS_BITS, depth=2)
        m.submodules.arrived = arrived = Queue(self.answers.payload.shape(), depth=2)
        m.submodules.turns = turns = Queue(1, depth=2)
        m.submodules.order = order = Queue(1, depth=OUTSTANDING, registered=1)
        m.submodules.leaving = leaving = Queue(self.answers.payload.shape(), depth=2)
        wiring.connect(m, turns=turns.o, order=order.i)
        wiring.connect(m, leaving=leaving.o, outer=wiring.flipped(self.answers))
        wiring.connect(m, queue=near_reads.o, near=near.addresses)
        wiring.connect(m, queue=far_reads.o, far=far.addresses)
        wiring.connect(m, far=far.answers, queue=arrived.i)
        address, is_near = reads.o.payload[:ADDRESS_BITS], reads.o.payload[ADDRESS_BITS]
        goes, may = Signal(), Signal()
        m.d.comb += [
            reads.i.valid.eq(self.addresses.valid),
            reads.i.payload[:ADDRESS_BITS].eq(self.addresses.payload),
            reads.i.payload[ADDRESS_BITS].eq(self._is_near(self.addresses.payload)),
            reads.i.payload[-1].eq(self._waits(m, writes, self.addresses.payload)),
            self.addresses.ready.eq(reads.i.ready),
            may.eq(turns.i.ready & ~(reads.o.payload[-1] & writes.o.valid)),
            near_reads.i.payload.eq(address),
            near_reads.i.valid.eq(reads.o.valid & may & is_near),
            far_reads.i.payload.eq(address),
            far_reads.i.valid.eq(reads.o.valid & may & ~is_near),
            goes.eq(may & Mux(is_near, near_reads.i.ready, far_reads.i.ready)),
            reads.o.ready.eq(goes),
            turns.i.payload.eq(is_near),
            turns.i.valid.eq(reads.o.valid & goes),
        ]
        from_near, answers = order.o.payload, leaving.i
        m.d.comb += [
            answers.payload.eq(Mux(from_near, near.answers.payload, arrived.o.payload)),
            answers.valid.eq(order.o.valid & Mux(from_near, near.answers.valid, arrived.o.valid)),
            near.answers.ready.eq(order.o.valid & from_near & answers.ready),
            arrived.o.ready.eq(order.o.valid & ~from_near & answers.ready),
            order.o.ready.eq(answers.valid & answers.ready),
        ]

    def _write(self, m, near, far):
        """Send each write to its tier; return the queue before them."""
        shape = self.writes.payload.shape()
        # Whoever writes need not wait for the comparison, whose result is a flip-flop.
        m.submodules.writes = writes = Queue(shape.size + 1, depth=PENDING, registered=1)
        write, is_near = data.View(shape, writes.o.payload[:-1]), writes.o.payload[-1]
        m.d.comb += [
            writes.i.valid.eq(self.writes.valid),
            writes.i.payload.eq(
                Cat(self.writes.payload.as_value(), self._is_near(self.writes.p.address))
            ),
            self.writes.ready.eq(writes.i.ready),
            near.writes.payload.eq(write),
            far.writes.payload.eq(write),
            near.writes.valid.eq(writes.o.valid & is_near),
            far.writes.valid.eq(writes.o.valid & ~is_near),
            writes.o.ready.eq(Mux(is_near, near.writes.ready, far.writes.ready)),
        ]
        return writes

    def _waits(self, m, writes, address):
        """Say whether a write to this word waits, of which there are :data:`PENDING` at most."""
        newest, older = (Signal(ADDRESS_BITS, name=name) for name in ("newest", "older"))
        with m.If(self.writes.valid & self.writes.ready):
            m.d.sync += [newest.eq(self.writes.p.address), older.eq(newest)]
        return (writes.o.valid & (address == newest)) | (~writes.i.ready & (address == older))

    def _is_near(self, address):
        """Compare the few bits that can tell, which takes no carry chain."""
        aligned = (self._near_words & -self._near_words).bit_length() - 1
        high = self._near_words.bit_length()
        few = address[aligned:high] < self._near_words >> aligned
        return few & ~address[high:].any()
