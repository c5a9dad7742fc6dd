# SPDX-License-Identifier: Apache-2.0
"""The store unit: the engines' results to device memory."""

from amaranth import Cat, Module, Mux, Signal
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from gcnloom_hw.layout import Shapes
from gcnloom_hw.memory.leaving import LeavingWrites
from gcnloom_hw.memory.port import ADDRESS_BITS, write_request
from gcnloom_hw.memory.take import Take
from gcnloom_hw.streams.gearbox import Packer
from gcnloom_spec.config import AcceleratorConfig
from gcnloom_spec.isa import Opcode, Unit

__all__ = ["Store", "extended"]


class Store(wiring.Component):
    """Execute :class:`gcnloom_spec.commands.Store` commands.

    Takes one vector a cycle from the chosen engine, packs it, and writes one word a cycle.
    Signals fire in the cycle after memory accepted a command's last word.

    Parameters
    ----------
    config : AcceleratorConfig

    Attributes
    ----------
    commands : In(stream.Signature(store command))
    aggregate, transform : In(stream.Signature(Shapes.sums))
        Vectors to store: raw sums, or operands sign-extended to sums. The first only if there is a
        sparse engine.
    writes : Out(stream.Signature(write_request(config.memory_bytes)))
    signals : Out(len(Unit))
    wrote, active, stalled, idle : Out(1)
    """

    def __init__(self, config: AcceleratorConfig) -> None:
        self.config = config
        shapes = Shapes(config)
        self._sources = ("aggregate", "transform") if config.sparse else ("transform",)
        super().__init__(
            {
                "commands": In(stream.Signature(shapes.commands[Opcode.STORE])),
                **{name: In(stream.Signature(shapes.sums)) for name in self._sources},
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

        m.submodules.take = take = Take(config)
        for name in self._sources:
            wiring.connect(m, outer=wiring.flipped(getattr(self, name)), inner=getattr(take, name))
        self._pack(m, take.vectors, vectors, sums, raw)

        # Of a command's last write memory's acceptance is told.
        m.submodules.leaving = leaving = LeavingWrites(
            config.memory_bytes, tag=1, depth=1 if config.compact else 2
        )
        wiring.connect(m, inner=leaving.writes, outer=wiring.flipped(self.writes))
        word = Mux(raw, sums.words.payload.as_value(), vectors.words.payload.as_value())
        word = data.View(vectors.words.payload.shape(), word)
        address = Signal(ADDRESS_BITS, reset_less=True)
        signals = Signal(len(Unit), reset_less=True)
        finished = Signal()
        m.d.comb += [
            leaving.i.valid.eq(vectors.words.valid | sums.words.valid),
            leaving.i.p.write.address.eq(address),
            leaving.i.p.write.data.eq(word.data),
            leaving.i.p.write.mask.eq(word.mask),
            leaving.i.p.tag.eq(word.last),
            vectors.words.ready.eq(leaving.i.ready),
            sums.words.ready.eq(leaving.i.ready),
            start.eq(self.commands.valid & ~running),
            take.begin.eq(start),
            take.source.eq(command.source),
            take.count.eq(command.count),
            self.wrote.eq(self.writes.valid & self.writes.ready),
            finished.eq(leaving.accepted),
            self.commands.ready.eq(~running),
            self.active.eq(take.taken),
            self.stalled.eq(running & ~take.taken),
            self.idle.eq(~running & ~self.commands.valid),
        ]
        with m.If(leaving.i.valid & leaving.i.ready):
            m.d.sync += address.eq(address + 1)
        with m.If(finished):
            m.d.comb += self.signals.eq(signals)
            m.d.sync += running.eq(0)
        with m.Elif(start):
            m.d.sync += [
                running.eq(1),
                raw.eq(command.raw),
                address.eq(command.address),
                signals.eq(command.signals),
            ]
        return m

    def _pack(self, m, chosen, vectors, sums, raw):
        """Hand a vector to the packer in use."""
        for packer, mine, width in (
            (vectors, ~raw, self.config.operand_bytes),
            (sums, raw, self.config.sum_bytes),
        ):
            m.d.comb += [
                packer.items.valid.eq(chosen.valid & mine),
                packer.items.p.data.eq(extended(chosen.p.sums, 8 * width)),
                packer.items.p.last.eq(chosen.p.last),
            ]
        m.d.comb += chosen.ready.eq(Mux(raw, sums.items.ready, vectors.items.ready))


def extended(lanes, bits):
    """Each lane cut or sign-extended to `bits`, side by side."""
    return Cat(
        lane[:bits] if len(lane) >= bits else Cat(lane, lane[-1].replicate(bits - len(lane)))
        for lane in lanes
    )
