# SPDX-License-Identifier: Apache-2.0
"""Bodies to frames, with their check."""

from amaranth import Cat, Module, Mux, Signal
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from gcnloom_hw.link.check import BEGIN, advanced
from gcnloom_spec.link import CHECK_BYTES, ESCAPE, ESCAPED, FLAG

__all__ = ["BODY", "Framer"]

BODY = data.StructLayout({"byte": 8, "last": 1})


class Framer(wiring.Component):
    """Put flags around bodies, escapes into them and their CRC-32 behind them.

    Bytes leave without a gap if each is taken no sooner than twelve cycles after the one before.

    Attributes
    ----------
    body : In(stream.Signature(BODY))
    o : Out(stream.Signature(8))
    idle : Out(1)
        Nothing is left to be sent.
    """

    def __init__(self) -> None:
        super().__init__(
            {
                "body": In(stream.Signature(BODY)),
                "o": Out(stream.Signature(8)),
                "idle": Out(1),
            }
        )

    def elaborate(self, platform):
        m = Module()
        byte, crc = Signal(8, reset_less=True), Signal(32, reset_less=True)
        last, checking, escaped = Signal(), Signal(), Signal()
        turns, checks = Signal(3), Signal(range(CHECK_BYTES))
        special = Signal()
        m.d.comb += special.eq(((byte == FLAG) | (byte == ESCAPE)) & ~escaped)
        with m.FSM(name="framer"):
            with m.State("Idle"):
                m.d.comb += self.idle.eq(~self.body.valid)
                m.d.sync += [crc.eq(BEGIN), last.eq(0), checking.eq(0)]
                with m.If(self.body.valid):
                    m.next = "Open"
            with m.State("Open"):
                m.d.comb += [self.o.valid.eq(1), self.o.payload.eq(FLAG)]
                with m.If(self.o.ready):
                    m.next = "Take a byte"
            with m.State("Take a byte"):
                m.d.comb += self.body.ready.eq(1)
                m.d.sync += [byte.eq(self.body.p.byte), last.eq(self.body.p.last)]
                with m.If(self.body.valid):
                    m.next = "Turn"
            with m.State("Turn"):
                # Eight turns bring a byte of the body back to where it was. Those of the check
                # come out of the CRC, which is only shifted then.
                passes = Mux(checking, ~crc[0], byte[0])
                m.d.sync += [
                    turns.eq(turns + 1),
                    byte.eq(Cat(byte[1:], passes)),
                    crc.eq(advanced(crc, (crc[0] ^ byte[0]) & ~checking)),
                ]
                with m.If(turns.all()):
                    m.next = "Send"
            with m.State("Send"):
                m.d.comb += self.o.valid.eq(1)
                m.d.comb += self.o.payload.eq(
                    Mux(special, ESCAPE, byte ^ (escaped << ESCAPED.bit_length() - 1))
                )
                with m.If(self.o.ready):
                    m.d.sync += escaped.eq(special)
                    with m.If(~special):
                        m.d.sync += [checking.eq(last), checks.eq(checks + checking)]
                        m.next = "Turn"
                        with m.If(~last):
                            m.next = "Take a byte"
                        with m.Elif(checks.all()):
                            m.next = "Close"
            with m.State("Close"):
                m.d.comb += [self.o.valid.eq(1), self.o.payload.eq(FLAG)]
                with m.If(self.o.ready):
                    m.next = "Idle"
        return m
