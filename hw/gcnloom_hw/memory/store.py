# SPDX-License-Identifier: Apache-2.0
"""The store unit: the engines' results to device memory."""

from amaranth import Cat, Const, Module, Mux, Signal
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from gcnloom_hw.layout import Shapes
from gcnloom_hw.memory.port import ADDRESS_BITS
from gcnloom_hw.streams.gearbox import Packer
from gcnloom_hw.streams.queue import Queue
from gcnloom_spec.config import LOCAL_BITS, AcceleratorConfig
from gcnloom_spec.isa import Opcode, Source, Unit

__all__ = ["Store", "write_request"]


def write_request(memory_bytes):
    """Layout of a memory write: `mask` has a bit for each byte to write."""
    return data.StructLayout(
        {"address": ADDRESS_BITS, "data": 8 * memory_bytes, "mask": memory_bytes}
    )


class Store(wiring.Component):
    """Execute :class:`gcnloom_spec.commands.Store` commands.

    Takes one vector a cycle from the chosen engine, packs it, and writes one word a cycle.
    Signals fire when memory has accepted a command's last word.

    Parameters
    ----------
    config : AcceleratorConfig

    Attributes
    ----------
    commands : In(stream.Signature(store command))
    aggregate, transform : In(stream.Signature(Shapes.sums))
        Vectors to store: raw sums, or operands sign-extended to sums.
    writes : Out(stream.Signature(write_request(config.memory_bytes)))
    signals : Out(len(Unit))
    wrote, active, stalled, idle : Out(1)
    """

    def __init__(self, config: AcceleratorConfig) -> None:
        self.config = config
        shapes = Shapes(config)
        super().__init__(
            {
                "commands": In(stream.Signature(shapes.commands[Opcode.STORE])),
                "aggregate": In(stream.Signature(shapes.sums)),
                "transform": In(stream.Signature(shapes.sums)),
                "writes": Out(stream.Signature(write_request(config.memory_bytes))),
                "signals": Out(len(Unit)),
                "wrote": Out(1),
                "active": Out(1),
                "stalled": Out(1),
                "idle": Out(1),
            }
        )

    def elaborate(self, platform):
        m = Module()
        config = self.config
        command = self.commands.p
        running = Signal()
        start = Signal()
        raw = Signal()
        m.submodules.vectors = vectors = Packer(config.vector, config.memory_bytes)
        m.submodules.sums = sums = Packer(config.sums, config.memory_bytes)

        item = data.StructLayout({"data": config.lanes * config.sum_width, "last": 1})
        m.submodules.taken = chosen = Queue(item, depth=2)
        taken = self._take(m, chosen.i, start)
        self._pack(m, chosen.o, vectors, sums, raw)

        words = data.View(
            vectors.words.payload.shape(),
            Mux(raw, sums.words.payload.as_value(), vectors.words.payload.as_value()),
        )
        address = Signal(ADDRESS_BITS, reset_less=True)
        finished = Signal()
        # Only the packer in use has a word; asking which that is would take longer.
        last = Cat(packer.words.valid & packer.words.p.last for packer in (vectors, sums)).any()
        m.d.comb += [
            start.eq(self.commands.valid & ~running),
            self.writes.valid.eq(vectors.words.valid | sums.words.valid),
            self.writes.p.address.eq(address),
            self.writes.p.data.eq(words.data),
            self.writes.p.mask.eq(words.mask),
            vectors.words.ready.eq(self.writes.ready),
            sums.words.ready.eq(self.writes.ready),
            self.wrote.eq(self.writes.valid & self.writes.ready),
            finished.eq(self.wrote & last),
            self.commands.ready.eq(finished),
            self.active.eq(taken),
            self.stalled.eq(running & ~taken),
            self.idle.eq(~running & ~self.commands.valid),
        ]
        with m.If(self.wrote):
            m.d.sync += address.eq(address + 1)
        with m.If(finished):
            m.d.comb += self.signals.eq(command.signals)
            m.d.sync += running.eq(0)
        with m.Elif(start):
            m.d.sync += [running.eq(1), raw.eq(command.raw), address.eq(command.address)]
        return m

    def _take(self, m, chosen, start):
        """Take as many vectors as the command wants from its source."""
        command = self.commands.p
        # One flip-flop a source, so that its `ready` does not wait for a comparison.
        wanted = Signal(len(Source))
        remaining = Signal(LOCAL_BITS)
        taken = Signal()
        for choice, vectors in (
            (Source.AGGREGATE, self.aggregate),
            (Source.TRANSFORM, self.transform),
        ):
            m.d.comb += vectors.ready.eq(wanted[choice] & chosen.ready)
            with m.If(wanted[choice]):
                m.d.comb += [
                    chosen.valid.eq(vectors.valid),
                    chosen.p.data.eq(vectors.payload.as_value()),
                ]
        m.d.comb += [
            chosen.p.last.eq(remaining == 1),
            taken.eq(chosen.valid & chosen.ready),
        ]
        with m.If(start):
            m.d.sync += [
                remaining.eq(command.count),
                wanted.eq(Mux(command.count != 0, Const(1, len(Source)) << command.source, 0)),
            ]
        with m.Elif(taken):
            m.d.sync += remaining.eq(remaining - 1)
            with m.If(chosen.p.last):
                m.d.sync += wanted.eq(0)
        return taken

    def _pack(self, m, chosen, vectors, sums, raw):
        """Hand a vector to the packer in use."""
        lanes = data.View(Shapes(self.config).sums, chosen.p.data)
        for packer, mine, width in (
            (vectors, ~raw, self.config.operand_bytes),
            (sums, raw, self.config.sum_bytes),
        ):
            m.d.comb += [
                packer.items.valid.eq(chosen.valid & mine),
                packer.items.p.data.eq(_extended(lanes, 8 * width)),
                packer.items.p.last.eq(chosen.p.last),
            ]
        m.d.comb += chosen.ready.eq(Mux(raw, sums.items.ready, vectors.items.ready))


def _extended(lanes, bits):
    """Each lane cut or sign-extended to `bits`, side by side."""
    return Cat(
        lane[:bits] if len(lane) >= bits else Cat(lane, lane[-1].replicate(bits - len(lane)))
        for lane in lanes
    )
