# SPDX-License-Identifier: Apache-2.0
"""Bytes of the line to checked bodies."""

from amaranth import Cat, Module, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from gcnloom_hw.link.check import BEGIN, RESIDUE, advanced
from gcnloom_hw.link.config import LEAST_BODY
from gcnloom_spec.link import ESCAPE, ESCAPED, FLAG

__all__ = ["Deframer"]

LENGTH_BITS = 11
"""Of a payload's length; the highest one says that there is no whole header and check yet."""


class Deframer(wiring.Component):
    """Take frames apart and check their bodies.

    Accepts a byte every ten cycles. `put` hands on a byte of a body two cycles after its arrival;
    `commit` or `abandon`, the cycle after its last flag's, says whether the body counts.

    Attributes
    ----------
    data : In(8)
    arrived, error : In(1)
        Of :class:`~gcnloom_hw.link.uart.UartReceiver`.
    room : In(1)
        The byte that is put, or the body's length, finds room; if not, the body is abandoned.
    byte : Out(8)
    put, commit, abandon : Out(1)
        For a cycle.
    units : Out(8)
        Of payload in the body that is committed, 4 bytes each.
    """

    def __init__(self) -> None:
        super().__init__(
            {
                "data": In(8),
                "arrived": In(1),
                "error": In(1),
                "room": In(1),
                "byte": Out(8),
                "put": Out(1),
                "commit": Out(1),
                "abandon": Out(1),
                "units": Out(8),
            }
        )

    def elaborate(self, platform):
        m = Module()
        flag, escape, fresh = Signal(), Signal(), Signal()
        escaped, begun, lost, right = Signal(), Signal(), Signal(), Signal()
        crc = Signal(32, init=BEGIN)
        turns, turning = Signal(3), Signal()
        length = Signal(LENGTH_BITS, init=(1 << LENGTH_BITS) - LEAST_BODY)
        m.d.comb += [
            flag.eq(self.arrived & (self.data == FLAG)),
            escape.eq(self.arrived & (self.data == ESCAPE)),
            self.units.eq(length[2:10]),
        ]
        m.d.sync += [fresh.eq(0), self.commit.eq(0), self.abandon.eq(0), right.eq(crc == RESIDUE)]
        with m.If(turning):
            m.d.sync += [
                turns.eq(turns + 1),
                turning.eq(~turns.all()),
                self.byte.eq(Cat(self.byte[1:], self.byte[0])),
                crc.eq(advanced(crc, crc[0] ^ self.byte[0])),
            ]
        with m.If(self.arrived & ~flag & ~escape):
            m.d.sync += [fresh.eq(1), turning.eq(1), escaped.eq(0)]
            m.d.sync += self.byte.eq(self.data ^ (escaped << ESCAPED.bit_length() - 1))
        m.d.comb += self.put.eq(fresh & self.room)
        with m.If(fresh):
            m.d.sync += length.eq(length + 1)
            with m.If(~self.room | (length == (1 << LENGTH_BITS - 1) - 1)):
                m.d.sync += lost.eq(1)
        with m.If(escape):
            m.d.sync += escaped.eq(1)
        with m.If(self.error):
            m.d.sync += lost.eq(1)
        with m.If(self.arrived | self.error):
            m.d.sync += begun.eq(~flag)
        ended, good = Signal(), Signal()
        m.d.comb += [
            ended.eq(flag & begun),
            good.eq(right & ~lost & ~length[-1] & (length[:2] == 0) & self.room),
        ]
        m.d.sync += [self.commit.eq(ended & good), self.abandon.eq(ended & ~good)]
        with m.If(self.commit | self.abandon):
            m.d.sync += [crc.eq(BEGIN), length.eq(length.init), lost.eq(0), escaped.eq(0)]
        return m
