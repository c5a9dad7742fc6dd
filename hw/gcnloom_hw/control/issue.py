# SPDX-License-Identifier: Apache-2.0
"""A compact accelerator's sequencer: one command at a time, from device memory to its unit."""

from amaranth import Cat, Module, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from gcnloom_hw.layout import layout
from gcnloom_hw.memory.port import ADDRESS_BITS, read_request
from gcnloom_hw.streams.gearbox import unpacked_word
from gcnloom_hw.streams.queue import Queue
from gcnloom_spec.commands import UNITS, units_of
from gcnloom_spec.config import AcceleratorConfig, Packing
from gcnloom_spec.isa import COMMAND_BYTES, HEADER, WORDS, Mode, Opcode, Unit

__all__ = ["READS", "SETTLE", "Doorway", "Issuer"]

READS = 8
"""Reads in flight: as many as a command has words, at most."""
SETTLE = 3
"""Cycles from a signal to its token: covers the shorter write pipelines."""


class Issuer(wiring.Component):
    """Fetch a command, hold it until its unit takes it, then fetch the next.

    Has the ports of :class:`~gcnloom_hw.control.sequencer.Sequencer`. All words of a command are
    asked for at once, for there is room for all of them. There are no repeats: their opcode is
    unknown, as is that of an output-stationary product.

    Parameters
    ----------
    config : AcceleratorConfig

    Attributes
    ----------
    start : In(1)
    address, count : In(32)
    requests : Out(stream.Signature(read_request()))
    words : In(stream.Signature(unpacked_word(config.memory_bytes)))
    commands0, commands1, ... : Out(stream.Signature(8 * COMMAND_BYTES))
    fetched, dispatched, idle, fault : Out(1)
        As there.
    quiet, finish, worse : In
    advance, ends : Out(1)
        Of repeats: not looked at, and never up.
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
        packing = self._packing
        items, filled = self._gather(m, packing.words_per_item)
        address = Signal(ADDRESS_BITS, reset_less=True)
        left = Signal(WORDS[Opcode.REPEAT].fields["target_count"])
        asked = Signal(range(packing.words_per_item + 1))
        issued = Signal()
        m.d.comb += [
            self.requests.valid.eq((left != 0) & (asked != packing.words_per_item)),
            self.requests.p.address.eq(address),
            self.fetched.eq(self.requests.valid & self.requests.ready),
            self.idle.eq(left == 0),
        ]
        with m.If(self.fetched):
            m.d.sync += [address.eq(address + 1), asked.eq(asked + 1)]
        with m.If(issued):
            m.d.sync += [asked.eq(0), filled.eq(0), left.eq(left - 1)]
        with m.If(self.start):
            m.d.sync += [address.eq(self.address), left.eq(self.count), asked.eq(0)]
            m.d.sync += [filled.eq(0), self.fault.eq(0)]
        valid = filled == packing.words_per_item
        self._offer(m, items, valid, issued)
        return m

    def _gather(self, m, count):
        """Put each word into a register of its own, of which unused fields then take nothing."""
        words = [Signal(8 * self.config.memory_bytes, name=f"word{i}") for i in range(count)]
        filled = Signal(range(count + 1))
        m.d.comb += self.words.ready.eq(1)
        with m.If(self.words.valid):
            m.d.sync += filled.eq(filled + 1)
            with m.Switch(filled):
                for index, word in enumerate(words):
                    with m.Case(index):
                        m.d.sync += word.eq(self.words.p.data)
        return Cat(words)[: 8 * COMMAND_BYTES], filled

    def _offer(self, m, command, valid, issued):
        """Decode the command, and offer it to its unit."""
        known, taken = Signal(len(Unit)), Signal()
        transform = layout(WORDS[Opcode.TRANSFORM])(command[: WORDS[Opcode.TRANSFORM].width])
        with m.Switch(command[: HEADER["opcode"]]):
            for code, unit in UNITS.items():
                if unit in units_of(self.config):
                    with m.Case(code):
                        m.d.comb += known.eq(1 << unit)
                        if unit == Unit.TRANSFORM:
                            with m.If(transform.mode == Mode.OUTPUT_STATIONARY):
                                m.d.comb += known.eq(0)
        for unit in Unit:
            commands = getattr(self, f"commands{unit}")
            m.d.comb += [
                commands.payload.eq(command),
                commands.valid.eq(valid & known[unit] & ~self.fault),
            ]
            with m.If(commands.valid & commands.ready):
                m.d.comb += taken.eq(1)
        m.d.comb += [
            self.dispatched.eq(taken),
            # After a fault the rest of the program is read and thrown away.
            issued.eq(taken | (valid & self.fault)),
        ]
        with m.If(valid & (known == 0)):
            m.d.sync += self.fault.eq(1)


class Doorway(wiring.Component):
    """Let a command pass when every token it waits for is there.

    Parameters
    ----------
    shape : data.StructLayout
        A command of the unit; has a field `waits`.
    hold : bool
        Keep it until the unit is free; otherwise the unit takes it out of the sequencer.

    Attributes
    ----------
    i, o, available, take, waiting, idle
        See :class:`~gcnloom_hw.control.gate.Gate`.
    """

    i: stream.Interface
    o: stream.Interface

    def __init__(self, shape, *, hold: bool) -> None:
        self._shape = shape
        self._hold = hold
        units = len(Unit)
        super().__init__(
            {
                "i": In(stream.Signature(shape)),
                "o": Out(stream.Signature(shape)),
                "available": In(units),
                "take": Out(units),
                "waiting": Out(units),
                "idle": Out(1),
            }
        )

    def elaborate(self, platform):
        m = Module()
        m.submodules.held = held = Queue(self._shape, depth=1 if self._hold else 0)
        wiring.connect(m, inner=held.o, outer=wiring.flipped(self.o))
        missing = Signal(len(Unit))
        m.d.comb += [
            missing.eq(self.i.p.waits & ~self.available),
            held.i.payload.eq(self.i.payload),
            held.i.valid.eq(self.i.valid & (missing == 0)),
            self.i.ready.eq(held.i.ready & (missing == 0)),
            self.idle.eq(~self.i.valid & ~self.o.valid),
        ]
        with m.If(self.i.valid & self.i.ready):
            m.d.comb += self.take.eq(self.i.p.waits)
        with m.If(self.i.valid):
            m.d.comb += self.waiting.eq(missing & -missing)
        return m
