# SPDX-License-Identifier: Apache-2.0
"""Carry requests out, each once and in order, and answer them."""

from amaranth import Cat, Module, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out

from gcnloom_hw.link.config import HEADER_BYTES, UNIT, LinkConfig
from gcnloom_hw.link.framer import BODY
from gcnloom_hw.link.request import Header
from gcnloom_hw.memory.port import ADDRESS_BITS, write_request
from gcnloom_spec.link import ANSWER, GREETING, RATE_BITS
from gcnloom_spec.registers import READ_CYCLES

__all__ = ["Executor"]


class Executor(wiring.Component):
    """What :mod:`gcnloom_spec.link` says of requests, a byte at a time.

    Memory is written byte by byte and read word by word, one at a time.

    Parameters
    ----------
    config : LinkConfig

    Attributes
    ----------
    requests : In(stream.Signature(8))
        Of :class:`~gcnloom_hw.link.buffer.RequestBuffer`.
    broken : In(1)
        There was a body that counts for nothing.
    answers : Out(stream.Signature(BODY))
    sent : In(1)
        All answers have left.
    addresses, words, writes : Out, In, Out
        The memory port, see :class:`~gcnloom_hw.accelerator.Accelerator`; used while not `running`.
    register_address : Out(8)
    register_write : Out(1)
    register_write_data : Out(32)
    register_read_data : In(32)
    running : In(1)
    increment : Out(RATE_BITS)
    change_rate : Out(1)
        Use `increment` from now on.
    """

    def __init__(self, config: LinkConfig) -> None:
        self._config = config
        super().__init__(
            {
                "requests": In(stream.Signature(8)),
                "broken": In(1),
                "answers": Out(stream.Signature(BODY)),
                "sent": In(1),
                "addresses": Out(stream.Signature(ADDRESS_BITS)),
                "words": In(stream.Signature(8 * config.memory_bytes)),
                "writes": Out(stream.Signature(write_request(config.memory_bytes))),
                "register_address": Out(8),
                "register_write": Out(1),
                "register_write_data": Out(32),
                "register_read_data": In(32),
                "running": In(1),
                "increment": Out(RATE_BITS),
                "change_rate": Out(1),
            }
        )

    def elaborate(self, platform):
        m = Module()
        m.submodules.header = header = Header(self._config)
        self._header, self._data = header, Signal(32, reset_less=True)
        # Bytes of a header, an answer, a greeting, a word; units of payload that are left.
        lanes = self._config.memory_bytes.bit_length() - 1
        self._index = Signal(max(lanes, (GREETING.width // 8 - 1).bit_length()))
        self._left = Signal(8, reset_less=True)
        self._unit_ends = (self._index[: UNIT.bit_length() - 1]).all()
        self._lane = self._index[:lanes]
        # Bytes of requests come every third cycle and units have four, so that all of this may be
        # known a cycle late.
        self._none_left, self._one_left, self._step = Signal(), Signal(), Signal()
        m.d.sync += [
            self._none_left.eq(self._left == 0),
            self._one_left.eq(self._left == 1),
            header.step.eq(self._step),
        ]
        again = Signal()
        m.d.comb += [
            header.byte.eq(self.requests.payload),
            header.index.eq(self._index),
            header.units.eq(self._left),
            header.running.eq(self.running),
            self.register_write_data.eq(self._data),
            self.increment.eq(header.address),
            self.addresses.payload.eq(header.address[: self._config.address_bits]),
            self.writes.p.address.eq(header.address[: self._config.address_bits]),
            self.writes.p.data.eq(self.requests.payload.replicate(self._config.memory_bytes)),
            self.writes.p.mask.eq(1 << self._lane),
        ]
        # Registers are far: what says which and when leaves from flip-flops, a cycle late.
        writes_register = self._writes_register = Signal()
        m.d.sync += [
            self.register_address.eq(header.address),
            self.register_write.eq(writes_register),
        ]
        with m.FSM(name="executor"):
            self._take_request(m, again)
            self._write(m)
            self._answer(m)
            self._greet(m)
            self._read_memory(m)
            self._read_registers(m)
            with m.State("Change the rate"):
                with m.If(self.sent):
                    m.d.comb += self.change_rate.eq(1)
                    m.next = "Idle"
        with m.If(self.broken):
            m.d.sync += again.eq(1)
        return m

    def _take_request(self, m, again):
        header, requests, index = self._header, self.requests, self._index
        with m.State("Idle"):
            m.d.sync += index.eq(0)
            with m.If(requests.valid):
                m.d.comb += requests.ready.eq(1)
                m.d.sync += self._left.eq(requests.payload)
                m.next = "Header"
            with m.Elif(again):
                m.d.sync += [again.eq(0), self._left.eq(0)]
                m.d.comb += header.ask_again.eq(1)
                m.next = "Answer"
        with m.State("Header"):
            m.d.comb += requests.ready.eq(1)
            with m.If(requests.valid):
                m.d.comb += header.take.eq(1)
                m.d.sync += index.eq(index + 1)
                with m.If(index == HEADER_BYTES - 1):
                    m.next = "Consider"
        with m.State("Consider"):
            m.next = "Judge"
        with m.State("Judge"):
            m.d.comb += header.judge.eq(1)
            m.d.sync += index.eq(0)
            m.next = "Skip"
            with m.If(header.judged_write):
                m.next = "Write"
        with m.State("Skip"):
            # What is left of the payload, and the check.
            m.d.comb += requests.ready.eq(1)
            with m.If(requests.valid):
                m.d.sync += index.eq(index + 1)
                with m.If(self._unit_ends):
                    m.d.sync += self._left.eq(self._left - 1)
                    with m.If(self._none_left):
                        m.d.sync += [index.eq(0), self._left.eq(header.answer_units)]
                        m.next = "Answer"
                        with m.If(header.silent):
                            m.next = "Idle"

    def _write(self, m):
        header, requests, index = self._header, self.requests, self._index
        taken = Signal()
        with m.State("Write"):
            with m.If(self._none_left):
                m.d.sync += index.eq(0)
                m.next = "Skip"
            with m.Elif(header.memory):
                m.d.comb += [
                    self.writes.valid.eq(requests.valid),
                    requests.ready.eq(self.writes.ready),
                    self._step.eq(taken & self._lane.all()),
                ]
            with m.Else():
                m.d.comb += requests.ready.eq(1)
                with m.If(taken & self._unit_ends):
                    m.next = "Write a register"
            m.d.comb += taken.eq(requests.valid & requests.ready)
            with m.If(taken):
                m.d.sync += [
                    index.eq(index + 1),
                    self._left.eq(self._left - self._unit_ends),
                    self._data.eq(Cat(self._data[8:], requests.payload)),
                ]
        with m.State("Write a register"):
            m.d.comb += [self._writes_register.eq(1), self._step.eq(1)]
            m.next = "Write"

    def _send(self, m, byte, *, ended, following, last=None):
        """Offer a byte; whatever follows it, `last` are the next state's or nobody's."""
        answers = self.answers
        last = self._unit_ends & self._one_left if last is None else last
        m.d.comb += [
            answers.valid.eq(1),
            answers.p.byte.eq(byte),
            answers.p.last.eq(last),
        ]
        with m.If(answers.ready):
            m.d.sync += self._index.eq(self._index + 1)
            with m.If(ended):
                m.d.sync += self._index.eq(0)
                following()
            with m.If(last):
                m.d.comb += self._header.answered.eq(1)
                m.next = "Idle"
                with m.If(self._header.changes_rate):
                    m.next = "Change the rate"

    def _count(self, m):
        with m.If(self.answers.ready & self._unit_ends):
            m.d.sync += self._left.eq(self._left - 1)

    def _answer(self, m):
        header = self._header

        def following():
            m.next = "Look up"
            with m.If(header.reads):
                m.next = "Wait for a register"
                with m.If(header.memory):
                    m.next = "Ask for a word"

        with m.State("Answer"):
            fields = {
                "kind": header.kind,
                "session": header.session,
                "sequence": header.sequence,
                "outcome": header.outcome,
            }
            values = Cat(fields[name] | 0 for name in ANSWER.fields)
            ended = self._index[:2].all()
            self._send(
                m, values.word_select(self._index[:2], 8), ended=ended, following=following,
                last=ended & self._none_left,
            )  # fmt: skip

    def _greet(self, m):
        """Send the greeting; the token's bytes come from the memory that keeps the next one."""
        header = self._header
        greeting = self._config.greeting
        attributes = {"no_rw_check": 1}
        memory = Memory(shape=8, depth=len(greeting), init=greeting, attrs=attributes)
        m.submodules.greeting = memory
        read, write = memory.read_port(), memory.write_port()
        m.d.comb += [
            read.addr.eq(self._index),
            write.addr.eq(self._index),
            write.data.eq(header.address),
        ]
        with m.State("Look up"):
            m.next = "Greet"
        with m.State("Greet"):
            with m.If(self.answers.ready):
                m.next = "Look up"
                with m.If(self._index >= GREETING.offsets["token"] // 8):
                    m.d.comb += [header.shift.eq(1), write.en.eq(header.count[0])]
            self._send(m, read.data, ended=0, following=lambda: None)
            self._count(m)

    def _read_memory(self, m):
        def following():
            m.d.comb += [self.words.ready.eq(1), self._step.eq(1)]
            m.next = "Step"

        with m.State("Step"):
            m.next = "Ask for a word"
        with m.State("Ask for a word"):
            m.d.comb += self.addresses.valid.eq(1)
            with m.If(self.addresses.ready):
                m.next = "Read a word"
        with m.State("Read a word"):
            with m.If(self.words.valid):
                byte = self.words.payload.word_select(self._lane, 8)
                self._send(m, byte, ended=self._lane.all(), following=following)
                self._count(m)

    def _read_registers(self, m):
        def following():
            m.d.comb += self._step.eq(1)
            m.next = "Wait for a register"

        with m.State("Wait for a register"):
            m.d.sync += self._index.eq(self._index + 1)
            with m.If(self._index == READ_CYCLES):
                m.d.sync += self._index.eq(0)
                m.next = "Read a register"
        with m.State("Read a register"):
            byte = self.register_read_data.word_select(self._index[:2], 8)
            self._send(m, byte, ended=self._unit_ends, following=following)
            self._count(m)
