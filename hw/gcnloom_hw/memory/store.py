# SPDX-License-Identifier: Apache-2.0
"""The store unit: the engines' results to device memory."""

from amaranth import Cat, Module, Mux, Signal
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from gcnloom_hw.layout import Shapes
from gcnloom_hw.memory.port import ADDRESS_BITS
from gcnloom_hw.memory.take import Take
from gcnloom_hw.streams.gearbox import Packer
from gcnloom_hw.streams.skid import Skid
from gcnloom_spec.config import AcceleratorConfig
from gcnloom_spec.isa import Opcode, Unit

__all__ = ["Store", "extended", "write_request"]


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

        # Memory is far from the packers, which need not wait for what it says.
        m.submodules.words = words = Skid(vectors.words.payload.shape())
        address = Signal(ADDRESS_BITS, reset_less=True)
        signals = Signal(len(Unit), reset_less=True)
        finished = Signal()
        m.d.comb += [
            words.i.valid.eq(vectors.words.valid | sums.words.valid),
            words.i.payload.eq(
                Mux(raw, sums.words.payload.as_value(), vectors.words.payload.as_value())
            ),
            vectors.words.ready.eq(words.i.ready),
            sums.words.ready.eq(words.i.ready),
            start.eq(self.commands.valid & ~running),
            take.begin.eq(start),
            take.source.eq(command.source),
            take.count.eq(command.count),
            self.writes.valid.eq(words.o.valid),
            words.o.ready.eq(self.writes.ready),
            self.writes.p.address.eq(address),
            self.writes.p.data.eq(words.o.p.data),
            self.writes.p.mask.eq(words.o.p.mask),
            self.wrote.eq(self.writes.valid & self.writes.ready),
            finished.eq(self.wrote & words.o.p.last),
            self.commands.ready.eq(~running),
            self.active.eq(take.taken),
            self.stalled.eq(running & ~take.taken),
            self.idle.eq(~running & ~self.commands.valid),
        ]
        with m.If(self.wrote):
            m.d.sync += address.eq(address + 1)
        with m.If(finished):
            m.d.comb += self.signals.eq(signals)
            m.d.sync += running.eq(0)
        with m.Elif(start):
            # Nothing is left to ask the command at its end, which memory decides, from afar.
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
