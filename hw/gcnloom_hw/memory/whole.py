# SPDX-License-Identifier: Apache-2.0
"""Writes of single bytes for a memory that only writes whole words."""

from amaranth import Const, Module, Mux, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from gcnloom_hw.memory.port import ADDRESS_BITS, write_request

__all__ = ["WholeWords"]

MOST_READS = 64
"""That may be under way; the accelerator has no more."""


class WholeWords(wiring.Component):
    """The memory port before a memory whose writes have no mask.

    Whole words pass in the clock they come. A word of which only some bytes are written is read
    first, for which every request waits: until the reads asked before it are answered, and then as
    long as a read and a write take.

    Parameters
    ----------
    memory : wiring.Component
        With `addresses`, `answers`, `writes` and perhaps `pins`, as
        :class:`~gcnloom_hw.dram.controller.SdramController`.
    memory_bytes : int
        Bytes of a word.

    Attributes
    ----------
    addresses : In(stream.Signature(32))
    answers : Out(stream.Signature(8 * memory_bytes))
    writes : In(stream.Signature(write_request(memory_bytes)))
    pins : as those of the memory
    """

    addresses: stream.Interface
    answers: stream.Interface
    writes: stream.Interface

    def __init__(self, memory: wiring.Component, *, memory_bytes: int) -> None:
        self.memory, self._bytes = memory, memory_bytes
        members = {
            "addresses": In(stream.Signature(ADDRESS_BITS)),
            "answers": Out(stream.Signature(8 * memory_bytes)),
            "writes": In(stream.Signature(write_request(memory_bytes))),
        }
        if "pins" in memory.signature.members:
            members["pins"] = memory.signature.members["pins"]
        super().__init__(members)

    def elaborate(self, platform):
        m = Module()
        m.submodules.memory = memory = self.memory
        if "pins" in self.signature.members:
            wiring.connect(m, wiring.flipped(self.pins), memory.pins)
        waiting = Signal.like(self.writes.payload)
        whole = Const((1 << self._bytes) - 1, self._bytes)
        m.d.comb += [
            memory.addresses.payload.eq(self.addresses.payload),
            self.answers.payload.eq(memory.answers.payload),
            memory.writes.payload.eq(self.writes.payload),
            memory.writes.p.mask.eq(whole),
        ]
        asked = Signal(range(MOST_READS + 1))
        come = self.addresses.valid & self.addresses.ready
        gone = self.answers.valid & self.answers.ready
        m.d.sync += asked.eq(asked + come - gone)
        with m.FSM(name="partial"):
            with m.State("Pass"):
                self._pass(m, asked != MOST_READS, whole)
                with m.If(self.writes.valid & (self.writes.p.mask != whole)):
                    m.d.sync += waiting.eq(self.writes.payload)
                    m.next = "Ask for the word"
            with m.State("Ask for the word"):
                self._answer(m)
                m.d.comb += [
                    memory.addresses.valid.eq(1),
                    memory.addresses.payload.eq(waiting.address),
                ]
                with m.If(memory.addresses.ready):
                    m.next = "Wait for the word"
            with m.State("Wait for the word"):
                with m.If(asked != 0):
                    self._answer(m)
                with m.Else():
                    m.d.comb += memory.answers.ready.eq(1)
                    with m.If(memory.answers.valid):
                        m.d.sync += self._merge(waiting, memory.answers.payload)
                        m.next = "Write the word"
            with m.State("Write the word"):
                m.d.comb += [
                    memory.writes.valid.eq(1),
                    memory.writes.p.address.eq(waiting.address),
                    memory.writes.p.data.eq(waiting.data),
                ]
                with m.If(memory.writes.ready):
                    m.next = "Pass"
        return m

    def _pass(self, m, room, whole):
        """Let reads and whole writes through, and take a partial one."""
        memory = self.memory
        self._answer(m)
        partial = self.writes.p.mask != whole
        m.d.comb += [
            memory.addresses.valid.eq(self.addresses.valid & room),
            self.addresses.ready.eq(memory.addresses.ready & room),
            memory.writes.valid.eq(self.writes.valid & ~partial),
            self.writes.ready.eq(memory.writes.ready | partial),
        ]

    def _answer(self, m):
        """Hand answers on."""
        m.d.comb += [
            self.answers.valid.eq(self.memory.answers.valid),
            self.memory.answers.ready.eq(self.answers.ready),
        ]

    def _merge(self, waiting, word):
        """Take the bytes that are not written from the word that was read."""
        return [
            waiting.data.word_select(byte, 8).eq(
                Mux(
                    waiting.mask[byte], waiting.data.word_select(byte, 8), word.word_select(byte, 8)
                )
            )
            for byte in range(self._bytes)
        ]
