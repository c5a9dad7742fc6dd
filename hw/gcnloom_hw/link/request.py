# SPDX-License-Identifier: Apache-2.0
"""The header of a request: its fields, whether it is to be carried out, and its answer's header."""

from amaranth import Cat, Module, Mux, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from gcnloom_hw.link.config import UNIT, LinkConfig
from gcnloom_spec.link import GREETING, RATE_BITS, Outcome, Request

__all__ = ["Header"]


class Header(wiring.Component):
    """Take a header, judge it, and know session and expected number.

    Parameters
    ----------
    config : LinkConfig

    Attributes
    ----------
    byte : In(8)
    index : In(4)
    take : In(1)
        Take byte `index` of the header.
    judge : In(1)
        Header and `units`, the payload's length, have been complete for a cycle: decide. The
        outcome is there in the next cycle, but for `judged_write`, and `answer_units` in the
        one after it.
    ask_again : In(1)
        Instead of a request: ask for the expected number.
    answered : In(1)
        The last byte of the answer is taken.
    step, shift : In(1)
        Go on to the next word or register, or to the address's next byte.
    running : In(1)
    units : In(8)
    judged_write : Out(1)
        What is judged writes, and shall.
    answer_units : Out(8)
        Length of the answer's payload.
    silent : Out(1)
        There is to be no answer.
    memory, reads, changes_rate : Out(1)
        What the request is about, if it is carried out.
    kind, session, sequence, outcome : Out
        Of the answer.
    count : Out(8)
    address : Out(32)
    """

    def __init__(self, config: LinkConfig) -> None:
        self._config = config
        super().__init__(
            {
                "byte": In(8),
                "index": In(4),
                "take": In(1),
                "judge": In(1),
                "ask_again": In(1),
                "answered": In(1),
                "step": In(1),
                "shift": In(1),
                "running": In(1),
                "units": In(8),
                "judged_write": Out(1),
                "answer_units": Out(8),
                "silent": Out(1),
                "memory": Out(1),
                "reads": Out(1),
                "changes_rate": Out(1),
                "kind": Out(8),
                "session": Out(8),
                "sequence": Out(8),
                "outcome": Out(8),
                "count": Out(8),
                "address": Out(32),
            }
        )

    def elaborate(self, platform):
        m = Module()
        self._too_many, self._foreign = Signal(), Signal()
        self._expected, self._advances = Signal(8), Signal()
        self._carried_out = Signal()
        self._hello, self._writes, self._rate = Signal(), Signal(), Signal()
        # The kinds that there are have three bits; what others seem to be does not matter, as
        # they are refused.
        self._strange = Signal()
        low, middle, high = self.kind[:3]
        m.d.comb += [
            self._strange.eq(self.kind[3:].any()),
            self._hello.eq((self.kind[:3] == Request.HELLO) & ~self._strange),
            self.memory.eq(middle & ~high),
            self.reads.eq((middle ^ high) & ~low),
            self._writes.eq((middle ^ high) & low),
            self._rate.eq(self.kind[:3] == Request.RATE),
            self.changes_rate.eq(self._rate & self._carried_out),
        ]
        self._take(m)
        self._judge(m)
        with m.If(self.ask_again):
            m.d.sync += [
                self.outcome.eq(Outcome.AGAIN),
                self.sequence.eq(self._expected),
                self._carried_out.eq(0),
                self._advances.eq(0),
            ]
        with m.If(self.answered & self._advances):
            m.d.sync += self._expected.eq(self._expected + 1)
        return m

    def _take(self, m):
        low = self._config.address_bits
        with m.If((self.take & (self.index >= 5)) | self.shift):
            m.d.sync += self.address.eq(Cat(self.address[8:], self.byte))
        with m.Elif(self.step):
            m.d.sync += self.address[:low].eq(self.address[:low] + 1)
        with m.If(self.take):
            with m.Switch(self.index):
                with m.Case(0):
                    m.d.sync += self.kind.eq(self.byte)
                with m.Case(1):
                    m.d.sync += self._foreign.eq((self.byte != self.session) & ~self._hello)
                    with m.If(self._hello):
                        m.d.sync += self.session.eq(self.byte)
                with m.Case(2):
                    m.d.sync += self.sequence.eq(self.byte)
                with m.Case(3):
                    m.d.sync += self.count.eq(self.byte)
                with m.Case(4):
                    m.d.sync += self._too_many.eq(self.byte.any())

    def _judge(self, m):
        # What is asked of a header is known a cycle after its last byte.
        size, known, fits = Signal(16), Signal(), Signal()
        ahead, next_one, old, shall = Signal(8), Signal(), Signal(), Signal()
        word_units = self._config.memory_bytes // UNIT
        m.d.comb += [
            size.eq(Mux(self.memory, self.count * word_units, self.count)),
            known.eq(
                ~self._strange
                & (self._writes | self.reads | (self._rate & self.address[:RATE_BITS].any()))
            ),
            ahead.eq(self.sequence - self._expected),
            shall.eq(next_one | (old & self.reads)),
        ]
        m.d.sync += [
            fits.eq(
                known & ~self._too_many & (size[8:] == 0)
                & (self.units == Mux(self._writes, size[:8], 0))
            ),
            next_one.eq(ahead == 0),
            old.eq(ahead[-1] & ahead[:-1].any()),
            self.answer_units.eq(0),
        ]  # fmt: skip
        with m.If(self._carried_out):
            with m.If(self._hello):
                m.d.sync += self.answer_units.eq(GREETING.width // 8 // UNIT)
            with m.Elif(self.reads):
                m.d.sync += self.answer_units.eq(size)
        with m.If(self.judge):
            m.d.sync += [self.silent.eq(0), self._carried_out.eq(0), self._advances.eq(0)]
            with m.If(self._hello):
                m.d.sync += [
                    self.outcome.eq(Outcome.DONE),
                    self._expected.eq(self.sequence),
                    self._carried_out.eq(1),
                    self._advances.eq(1),
                ]
            with m.Elif(self._foreign):
                m.d.sync += self.silent.eq(1)
            with m.Elif(shall & ~fits):
                m.d.sync += self.outcome.eq(Outcome.REFUSED)
            with m.Elif(shall & self.memory & self.running):
                m.d.sync += self.outcome.eq(Outcome.BUSY)
            with m.Elif(shall):
                m.d.comb += self.judged_write.eq(self._writes)
                m.d.sync += [
                    self.outcome.eq(Outcome.DONE),
                    self._carried_out.eq(1),
                    self._advances.eq(next_one),
                ]
            with m.Elif(old):
                m.d.sync += self.outcome.eq(Outcome.DONE)
            with m.Else():
                m.d.sync += [self.outcome.eq(Outcome.AGAIN), self.sequence.eq(self._expected)]
