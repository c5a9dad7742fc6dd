# SPDX-License-Identifier: Apache-2.0
"""On-chip memory that is written several words at a time and read word by word."""

from amaranth import Array, Module, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from gcnloom_hw.memory.scratchpad import Scratchpad

__all__ = ["GroupedMemory"]


class GroupedMemory(wiring.Component):
    """A block-RAM memory of `group` banks side by side: word `a` lies in bank ``a % group``.

    Each cycle one word is read, and those of a group are written that `write_enable` names. As
    with :class:`~gcnloom_hw.memory.scratchpad.Scratchpad` a word appears :attr:`latency` cycles
    after its address, and what a read in the cycle of a write of the same word returns is
    undefined. Contents start at zero.

    Parameters
    ----------
    width : int
        Bits of a word.
    depth : int
        Number of words.
    group : int
        A power of two.

    Attributes
    ----------
    write_enable : In(group)
    write_address : In
        Number of the group.
    write_data : In(group * width)
    read_enable : In(1)
    read_address : In
        Number of the word.
    read_data : Out(width)
    """

    latency = Scratchpad.latency

    def __init__(self, *, width: int, depth: int, group: int) -> None:
        self._width = width
        self._group = group
        self._rows = -(-depth // group)
        super().__init__(
            {
                "write_enable": In(group),
                "write_address": In(range(max(2, self._rows))),
                "write_data": In(group * width),
                "read_enable": In(1, init=1),
                "read_address": In(range(max(2, depth))),
                "read_data": Out(width),
            }
        )

    def connect(self, m, writes):
        """Take every write of a stream; its address may be wider than the memory's."""
        m.d.comb += [
            writes.ready.eq(1),
            self.write_enable.eq(writes.p.enable & writes.valid.replicate(self._group)),
            self.write_address.eq(writes.p.address[: len(self.write_address)]),
            self.write_data.eq(writes.p.data),
        ]

    def elaborate(self, platform):
        m = Module()
        low = (self._group - 1).bit_length()
        words = []
        for index in range(self._group):
            m.submodules[f"bank{index}"] = bank = Scratchpad(width=self._width, depth=self._rows)
            m.d.comb += [
                bank.write_enable.eq(self.write_enable[index]),
                bank.write_address.eq(self.write_address),
                bank.write_data.eq(self.write_data.word_select(index, self._width)),
                bank.read_enable.eq(self.read_enable),
                bank.read_address.eq(self.read_address[low:]),
            ]
            words.append(bank.read_data)
        if low:
            chosen = Signal(low, reset_less=True)
            with m.If(self.read_enable):
                m.d.sync += chosen.eq(self.read_address[:low])
            m.d.comb += self.read_data.eq(Array(words)[chosen])
        else:
            m.d.comb += self.read_data.eq(words[0])
        return m
