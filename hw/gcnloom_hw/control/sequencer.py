# SPDX-License-Identifier: Apache-2.0
"""Fetch a program from device memory and deal its commands to the units' queues."""

from amaranth import Module, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from gcnloom_hw.memory.port import ADDRESS_BITS, read_request
from gcnloom_hw.streams.gearbox import Unpacker, unpacked_word
from gcnloom_hw.streams.queue import CreditedQueue
from gcnloom_spec.commands import COMMANDS
from gcnloom_spec.config import AcceleratorConfig, Packing
from gcnloom_spec.isa import COMMAND_BYTES, HEADER, Unit

__all__ = ["Sequencer"]

FETCH_DEPTH = 16


class Sequencer(wiring.Component):
    """Fetch ahead, decode the opcode, hand the command to its unit's queue, in program order.

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
    commands0 ... commands3 : Out(stream.Signature(8 * COMMAND_BYTES))
        To the units, in the order of :class:`gcnloom_spec.isa.Unit`.
    fetched, dispatched : Out(1)
    idle : Out(1)
    fault : Out(1)
        An opcode was unknown; the sequencer has stopped until the next start.
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
                "idle": Out(1),
                "fault": Out(1),
            }
        )

    def elaborate(self, platform):
        m = Module()
        self._fetch(m)
        return m

    def _fetch(self, m):
        packing = self._packing
        word = unpacked_word(self.config.memory_bytes)
        m.submodules.ahead = ahead = CreditedQueue(word, depth=FETCH_DEPTH)
        m.submodules.unpack = unpack = Unpacker(packing, self.config.memory_bytes)
        wiring.connect(m, queue=ahead.o, unpack=unpack.words)
        wiring.connect(m, outer=wiring.flipped(self.words), inner=ahead.i)

        address = Signal(ADDRESS_BITS, reset_less=True)
        unasked = Signal(32)
        part = Signal(range(max(2, packing.words_per_item)))
        part_last = part == packing.words_per_item - 1
        asked = Signal()
        m.d.comb += [
            self.requests.valid.eq((unasked != 0) & ahead.available),
            self.requests.p.address.eq(address),
            self.requests.p.last.eq(part_last & (unasked <= packing.items_per_word)),
            asked.eq(self.requests.valid & self.requests.ready),
            ahead.take.eq(asked),
            self.fetched.eq(asked),
        ]
        with m.If(asked):
            m.d.sync += [address.eq(address + 1), part.eq(part + 1)]
            with m.If(part_last):
                m.d.sync += part.eq(0)
                with m.If(self.requests.p.last):
                    m.d.sync += unasked.eq(0)
                with m.Else():
                    m.d.sync += unasked.eq(unasked - packing.items_per_word)
        with m.If(self.start):
            m.d.sync += [address.eq(self.address), unasked.eq(self.count), part.eq(0)]
        self._deal(m, unpack)

    def _deal(self, m, unpack):
        undealt = Signal(32)
        dealing = Signal()
        dealt = Signal()
        opcode = unpack.items.payload[: HEADER["opcode"]]
        known = Signal()
        with m.If(unpack.items.valid & dealing & ~self.fault):
            with m.Switch(opcode):
                for code, command in COMMANDS.items():
                    with m.Case(code):
                        queue = getattr(self, f"commands{command.unit}")
                        m.d.comb += [known.eq(1), queue.valid.eq(1), dealt.eq(queue.ready)]
            with m.If(~known):
                m.d.sync += self.fault.eq(1)
        for unit in Unit:
            m.d.comb += getattr(self, f"commands{unit}").payload.eq(unpack.items.payload)
        m.d.comb += [
            # After a fault the rest of the program is read and thrown away.
            unpack.items.ready.eq(dealt | self.fault),
            unpack.flush.eq(unpack.items.valid & unpack.items.ready & (undealt == 1)),
            self.dispatched.eq(dealt),
            self.idle.eq(~dealing),
        ]
        with m.If(unpack.items.valid & unpack.items.ready):
            m.d.sync += undealt.eq(undealt - 1)
            with m.If(undealt == 1):
                m.d.sync += dealing.eq(0)
        with m.If(self.start):
            m.d.sync += [undealt.eq(self.count), dealing.eq(self.count != 0), self.fault.eq(0)]
