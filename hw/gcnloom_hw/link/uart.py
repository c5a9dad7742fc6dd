# SPDX-License-Identifier: Apache-2.0
"""A UART: eight data bits, no parity, one stop bit, at any rate up to a quarter of the clock."""

from amaranth import C, Cat, Module, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.cdc import FFSynchronizer
from amaranth.lib.wiring import In, Out

from gcnloom_spec.link import RATE_BITS

__all__ = ["UartReceiver", "UartTransmitter"]


START = 19 << (RATE_BITS - 5)
"""What counts as over of a start bit when it is seen: half of it, and some for late clocks."""


class UartReceiver(wiring.Component):
    """Bits of a line to bytes; each bit is sampled once, in its middle.

    A byte whose stop bit is low is an `error` instead, and the next one begins after the line has
    been high again.

    Attributes
    ----------
    rx : In(1)
        From outside, not synchronised.
    increment : In(RATE_BITS)
        See :func:`gcnloom_spec.link.rate_increment`.
    data : Out(8)
        Valid in the cycle of `arrived`.
    arrived, error : Out(1)
        For a cycle; from flip-flops.
    """

    def __init__(self) -> None:
        super().__init__(
            {
                "rx": In(1),
                "increment": In(RATE_BITS),
                "data": Out(8),
                "arrived": Out(1),
                "error": Out(1),
            }
        )

    def elaborate(self, platform):
        m = Module()
        line, before = Signal(init=1), Signal(init=1)
        m.submodules.synchroniser = FFSynchronizer(self.rx, line, init=1)
        m.d.sync += before.eq(line)
        phase, sample = Signal(RATE_BITS, reset_less=True), Signal()
        busy, first = Signal(), Signal(reset_less=True)
        # A mark goes ahead of the bits: once it is at the end, the stop bit is next.
        bits = Signal(10, reset_less=True)
        ended = Signal()
        m.d.comb += ended.eq(busy & sample & bits[0])
        m.d.sync += [
            self.data.eq(bits[2:]),
            self.arrived.eq(ended & before),
            self.error.eq(ended & ~before),
        ]
        m.d.sync += [Cat(phase, sample).eq(phase + self.increment), first.eq(first & ~sample)]
        with m.If(sample):
            m.d.sync += bits.eq(Cat(bits[1:], before))
        with m.If(first & sample & before):
            # Nothing but a spike.
            m.d.sync += busy.eq(0)
        with m.If(~busy | ended):
            # From here it is less than half a bit to the middle of the start bit.
            # It may begin while the stop bit before it is sampled.
            m.d.sync += [phase.eq(START), sample.eq(0)]
            m.d.sync += [bits.eq(1 << 9), first.eq(1), busy.eq(before & ~line)]
        return m


class UartTransmitter(wiring.Component):
    """Bytes to bits of a line, without a gap while there are bytes.

    Attributes
    ----------
    i : In(stream.Signature(8))
    increment : In(RATE_BITS)
    tx : Out(1)
        From a flip-flop.
    idle : Out(1)
        The last stop bit is over, and there was no byte behind it.
    """

    def __init__(self) -> None:
        super().__init__(
            {
                "i": In(stream.Signature(8)),
                "increment": In(RATE_BITS),
                "tx": Out(1),
                "idle": Out(1),
            }
        )

    def elaborate(self, platform):
        m = Module()
        phase, tick = Signal(RATE_BITS), Signal()
        m.d.sync += Cat(phase, tick).eq(phase + self.increment)
        # Bits that are still to be sent, from the lowest on; the stop bit is the highest one set.
        bits = Signal(10, init=1)
        last = Signal()
        m.d.comb += [
            self.tx.eq(bits[0]),
            last.eq(~bits[1:].any()),
            self.i.ready.eq(tick & last),
        ]
        with m.If(tick):
            m.d.sync += self.idle.eq(last & ~self.i.valid)
            with m.If(~last):
                m.d.sync += bits.eq(bits[1:])
            with m.Elif(self.i.valid):
                m.d.sync += bits.eq(Cat(C(0, 1), self.i.payload, C(1, 1)))
        return m
