# SPDX-License-Identifier: Apache-2.0
"""The four single-port RAMs of an iCE40UP5K as the device memory."""

from amaranth import Array, Cat, Module, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from gcnloom_hw.memory.port import ADDRESS_BITS, write_request
from gcnloom_hw.primitives.ice40 import SPRAM_WORDS, SPRAMS, Spram

__all__ = ["SpramMemory"]

CELL_BYTES = 2
PAIRED = 2
"""Nibbles of a byte."""


class SpramMemory(wiring.Component):
    """The accelerator's memory port on 128 KB of single-port RAM: a word a cycle, a write first.

    RAMs lie side by side as far as a word is wide, and groups of them behind each other. An
    answer comes :attr:`latency` cycles after its read is accepted, and is kept by the RAM itself:
    nothing else is accepted until it is taken. No read is accepted beside a write. Higher address
    bits than the memory has are not looked at. Contents start undefined.

    Parameters
    ----------
    memory_bytes : int
        Bytes of a word: 2, 4 or 8.

    Attributes
    ----------
    addresses : In(stream.Signature(32))
    answers : Out(stream.Signature(8 * memory_bytes))
    writes : In(stream.Signature(write_request(memory_bytes)))
    words : int
    """

    latency = 1

    addresses: stream.Interface
    answers: stream.Interface
    writes: stream.Interface

    def __init__(self, *, memory_bytes: int) -> None:
        if memory_bytes not in (2, 4, 8):
            raise ValueError(f"memory_bytes={memory_bytes} of single-port RAM; use 2, 4 or 8")
        self._wide = memory_bytes // CELL_BYTES
        self._deep = SPRAMS // self._wide
        self.words = self._deep * SPRAM_WORDS
        super().__init__(
            {
                "addresses": In(stream.Signature(ADDRESS_BITS)),
                "answers": Out(stream.Signature(8 * memory_bytes)),
                "writes": In(stream.Signature(write_request(memory_bytes))),
            }
        )

    def elaborate(self, platform):
        m = Module()
        accepted, answers, free = Signal(), Signal(), Signal()
        address = Signal(range(self.words))
        m.d.comb += [
            free.eq(~answers | self.answers.ready),
            self.writes.ready.eq(free),
            self.addresses.ready.eq(free & ~self.writes.valid),
            accepted.eq(self.addresses.valid & self.addresses.ready),
            address.eq(self.addresses.payload),
            self.answers.valid.eq(answers),
        ]
        with m.If(self.writes.valid):
            m.d.comb += address.eq(self.writes.p.address)
        with m.If(free):
            m.d.sync += answers.eq(accepted)
        high = (SPRAM_WORDS - 1).bit_length()
        group = Signal(max(1, len(address) - high), reset_less=True)
        with m.If(accepted):
            m.d.sync += group.eq(address[high:])
        writes = self.writes.valid & free
        groups = [self._group(m, number, address, accepted, writes) for number in range(self._deep)]
        m.d.comb += self.answers.payload.eq(Array(groups)[group] if self._deep > 1 else groups[0])
        return m

    def _group(self, m, number, address, accepted, writes):
        """Add the RAMs of a word; return what they read."""
        low = (SPRAM_WORDS - 1).bit_length()
        chosen = address[low:] == number if self._deep > 1 else 1
        word, mask = self.writes.p.data, self.writes.p.mask
        parts = []
        for place in range(self._wide):
            m.submodules[f"ram{number}_{place}"] = ram = Spram()
            octets = mask[place * CELL_BYTES :][:CELL_BYTES]
            m.d.comb += [
                ram.select.eq((writes | accepted) & chosen),
                ram.write.eq(writes),
                ram.address.eq(address[:low]),
                ram.write_data.eq(word.word_select(place, 8 * CELL_BYTES)),
                ram.mask.eq(Cat(octet.replicate(PAIRED) for octet in octets)),
            ]
            parts.append(ram.read_data)
        return Cat(parts)
