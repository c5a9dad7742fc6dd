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
        Header and `units`, the payload's length, are complete: decide. The outcome is there
        in the next cycle, but for `judged_write`.
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
        self._hello = Signal()
        m.d.comb += [
            self._hello.eq(self.kind == Request.HELLO),
            self.memory.eq(
                (self.kind == Request.READ_MEMORY) | (self.kind == Request.WRITE_MEMORY)
            ),
            self.reads.eq(
                (self.kind == Request.READ_MEMORY) | (self.kind == Request.READ_REGISTERS)
            ),
            self.changes_rate.eq((self.kind == Request.RATE) & self._carried_out),
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
        size, writes, known, fits = Signal(16), Signal(), Signal(), Signal()
        ahead, next_one, old, shall = Signal(8), Signal(), Signal(), Signal()
        word_units = self._config.memory_bytes // UNIT
        m.d.comb += [
            size.eq(Mux(self.memory, self.count * word_units, self.count)),
            writes.eq(
                (self.kind == Request.WRITE_MEMORY) | (self.kind == Request.WRITE_REGISTERS)
            ),
            known.eq(
                writes | self.reads
                | ((self.kind == Request.RATE) & self.address[:RATE_BITS].any())
            ),
            fits.eq(
                known & ~self._too_many & (size[8:] == 0)
                & (self.units == Mux(writes, size[:8], 0))
            ),
            ahead.eq(self.sequence - self._expected),
            next_one.eq(ahead == 0),
            old.eq(ahead[-1] & ahead[:-1].any()),
            shall.eq(next_one | (old & self.reads)),
        ]  # fmt: skip
        m.d.comb += self.answer_units.eq(0)
        with m.If(self._carried_out):
            with m.If(self._hello):
                m.d.comb += self.answer_units.eq(GREETING.width // 8 // UNIT)
            with m.Elif(self.reads):
                m.d.comb += self.answer_units.eq(size)
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
                m.d.comb += self.judged_write.eq(writes)
                m.d.sync += [
                    self.outcome.eq(Outcome.DONE),
                    self._carried_out.eq(1),
                    self._advances.eq(next_one),
                ]
            with m.Elif(old):
                m.d.sync += self.outcome.eq(Outcome.DONE)
            with m.Else():
                m.d.sync += [self.outcome.eq(Outcome.AGAIN), self.sequence.eq(self._expected)]
