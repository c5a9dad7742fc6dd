# SPDX-License-Identifier: Apache-2.0
"""Fetch a program from device memory and deal its commands to the units' queues."""

from amaranth import Module, Signal
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from gcnloom_hw.control.repeats import Repeats, program_start
from gcnloom_hw.layout import layout
from gcnloom_hw.memory.port import ADDRESS_BITS, read_request
from gcnloom_hw.streams.gearbox import Unpacker, unpacked_word
from gcnloom_hw.streams.queue import CreditedQueue
from gcnloom_spec.commands import UNITS, units_of
from gcnloom_spec.config import AcceleratorConfig, Packing
from gcnloom_spec.isa import COMMAND_BYTES, HEADER, WORDS, Opcode, Unit

__all__ = ["Sequencer"]

FETCH_DEPTH = 16


class Sequencer(wiring.Component):
    """Fetch ahead, decode the opcode, hand the command to its unit's queue, in program order.

    A program may end with a repeat, by which another begins when everything is quiet.

    Asks for a word only when it has room for the answer, so that it never holds up other
    readers. Throughput: a command every ``max(2, words per command)`` cycles.

    Parameters
    ----------
    config : AcceleratorConfig

    Attributes
    ----------
    start : In(1)
    address, count : In(32)
        First memory word and number of commands; read at `start`.
    requests : Out(stream.Signature(read_request()))
    words : In(stream.Signature(unpacked_word(config.memory_bytes)))
    commands0, commands1, ... : Out(stream.Signature(8 * COMMAND_BYTES))
        To the units, in the order of :class:`gcnloom_spec.isa.Unit`.
    fetched, dispatched : Out(1)
    quiet : In(1)
        Everything else has been idle for so long that it has ended.
    finish : In(1)
    worse : In(16)
        See :class:`~gcnloom_hw.control.repeats.Repeats`.
    advance : Out(1)
        The step is to be advanced.
    ends : Out(1)
        A repeat waits for everything else to be quiet.
    idle : Out(1)
    fault : Out(1)
        An opcode was unknown, or a repeat not the last command; the sequencer has stopped until
        the next start.
    """

    def __init__(self, config: AcceleratorConfig) -> None:
        self.config = config
        self._packing = Packing.of(COMMAND_BYTES, config.memory_bytes)
        super().__init__(
            {
                "start": In(1),
                "address": In(ADDRESS_BITS),
                "count": In(32),
                "requests": Out(stream.Signature(read_request())),
                "words": In(stream.Signature(unpacked_word(config.memory_bytes))),
                **{f"commands{unit}": Out(stream.Signature(8 * COMMAND_BYTES)) for unit in Unit},
                "fetched": Out(1),
                "dispatched": Out(1),
                "quiet": In(1),
                "finish": In(1),
                "worse": In(WORDS[Opcode.REPEAT].fields["patience"]),
                "advance": Out(1),
                "ends": Out(1),
                "idle": Out(1),
                "fault": Out(1),
            }
        )

    def elaborate(self, platform):
        m = Module()
        # A run starts, or one of its programs follows another.
        begin, program = Signal(), Signal(program_start(), reset_less=True)
        base = Signal(ADDRESS_BITS, reset_less=True)
        m.submodules.repeats = repeats = Repeats()
        m.d.comb += [
            repeats.quiet.eq(self.quiet),
            repeats.start.eq(self.start),
            repeats.base.eq(base),
            repeats.finish.eq(self.finish),
            repeats.worse.eq(self.worse),
            self.advance.eq(repeats.advance),
        ]
        m.d.sync += begin.eq(self.start | repeats.go)
        with m.If(self.start):
            m.d.sync += [
                base.eq(self.address),
                program.address.eq(self.address),
                program.count.eq(self.count),
            ]
        with m.Else():
            m.d.sync += program.eq(repeats.program)
        self._fetch(m, begin, program, repeats)
        return m

    def _fetch(self, m, begin, program, repeats):
        packing = self._packing
        word = unpacked_word(self.config.memory_bytes)
        m.submodules.ahead = ahead = CreditedQueue(word, depth=FETCH_DEPTH)
        m.submodules.unpack = unpack = Unpacker(packing, self.config.memory_bytes)
        wiring.connect(m, queue=ahead.o, unpack=unpack.words)
        wiring.connect(m, outer=wiring.flipped(self.words), inner=ahead.i)

        address = Signal(ADDRESS_BITS, reset_less=True)
        # Whether there is a command left, and none after this word's, is known a word ahead.
        unasked, some, final = Signal(32, reset_less=True), Signal(), Signal(reset_less=True)
        part = Signal(range(max(2, packing.words_per_item)))
        part_last = part == packing.words_per_item - 1
        asked = Signal()
        m.d.comb += [
            self.requests.valid.eq(some & ahead.available),
            self.requests.p.address.eq(address),
            self.requests.p.last.eq(part_last & final),
            asked.eq(self.requests.valid & self.requests.ready),
            ahead.take.eq(asked),
            self.fetched.eq(asked),
        ]
        with m.If(asked):
            m.d.sync += [address.eq(address + 1), part.eq(part + 1)]
            with m.If(part_last):
                m.d.sync += [
                    part.eq(0),
                    unasked.eq(unasked - packing.items_per_word),
                    final.eq(unasked <= 2 * packing.items_per_word),
                    some.eq(~final),
                ]
        with m.If(begin):
            m.d.sync += [
                address.eq(program.address),
                part.eq(0),
                unasked.eq(program.count),
                final.eq(program.count <= packing.items_per_word),
                some.eq(program.count != 0),
            ]
        self._deal(m, unpack, begin, program, repeats)

    def _deal(self, m, unpack, begin, program, repeats):
        """Decode each command, then offer it to its unit."""
        undecoded = Signal(32)
        final = Signal()
        decoding = Signal()
        known, ends = Signal(len(Unit)), Signal()
        item = unpack.items.payload
        with m.Switch(item[: HEADER["opcode"]]):
            with m.Case(Opcode.REPEAT):
                m.d.comb += ends.eq(1)
            present = units_of(self.config)
            for code, unit in UNITS.items():
                if unit in present:
                    with m.Case(code):
                        m.d.comb += known.eq(1 << unit)
        decoded_command = data.StructLayout(
            {"command": len(item), "unit": len(Unit), "ends": 1, "final": 1}
        )
        # A register is enough: another command comes two cycles later at the earliest.
        offer, offered = Signal(decoded_command, reset_less=True), Signal()
        m.d.comb += [
            unpack.items.ready.eq(~offered & decoding),
            unpack.flush.eq(unpack.items.valid & unpack.items.ready & final),
        ]
        with m.If(~offered):
            m.d.sync += [
                offered.eq(unpack.items.valid & decoding),
                offer.command.eq(item),
                offer.unit.eq(known),
                offer.ends.eq(ends),
                offer.final.eq(final),
            ]
        with m.If(unpack.items.valid & unpack.items.ready):
            m.d.sync += [undecoded.eq(undecoded - 1), final.eq(undecoded == 2)]
            with m.If(final):
                m.d.sync += decoding.eq(0)

        dealt = Signal()
        for unit in Unit:
            queue = getattr(self, f"commands{unit}")
            m.d.comb += [
                queue.payload.eq(offer.command),
                queue.valid.eq(offered & offer.unit[unit] & ~self.fault),
            ]
            with m.If(queue.valid & queue.ready):
                m.d.comb += dealt.eq(1)
        ends_here = offer.ends & offer.final
        m.d.comb += [
            repeats.repeats.payload.eq(
                layout(WORDS[Opcode.REPEAT])(offer.command[: WORDS[Opcode.REPEAT].width])
            ),
            repeats.repeats.valid.eq(offered & ends_here & ~self.fault),
        ]
        m.d.comb += self.ends.eq(repeats.repeats.valid)
        with m.If(repeats.repeats.valid & repeats.repeats.ready):
            m.d.comb += dealt.eq(1)
        m.d.comb += [
            self.dispatched.eq(dealt),
            self.idle.eq(~decoding & ~offered & ~begin),
        ]
        # After a fault the rest of the program is read and thrown away.
        with m.If(dealt | self.fault):
            m.d.sync += offered.eq(0)
        with m.If(offered & (offer.unit == 0) & ~ends_here):
            m.d.sync += self.fault.eq(1)
        with m.If(begin):
            m.d.sync += [
                undecoded.eq(program.count),
                final.eq(program.count == 1),
                decoding.eq(program.count != 0),
            ]
        with m.If(self.start):
            m.d.sync += self.fault.eq(0)
