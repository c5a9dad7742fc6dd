# SPDX-License-Identifier: Apache-2.0
"""Write stepped weights, momenta and operands to device memory."""

from amaranth import Cat, Module, Mux, Signal
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from gcnloom_hw.layout import Shapes
from gcnloom_hw.memory.leaving import LeavingWrites
from gcnloom_hw.memory.port import ADDRESS_BITS, write_request
from gcnloom_hw.memory.store import extended
from gcnloom_hw.streams.gearbox import Packer
from gcnloom_hw.streams.half_buffer import HalfBuffer
from gcnloom_hw.streams.queue import Queue
from gcnloom_hw.streams.skid import Skid
from gcnloom_hw.streams.slices import Regroup
from gcnloom_hw.update.coalesce import Coalesce, placed_item
from gcnloom_hw.update.masters import masters_slice
from gcnloom_spec.config import AcceleratorConfig
from gcnloom_spec.isa import Unit

__all__ = ["Results", "operands_slice", "stepped_slice"]

TARGETS = 4
"""Commands whose results may be on their way."""


def stepped_slice(config: AcceleratorConfig) -> data.StructLayout:
    """Shape of new weights and momenta of a slice; the `last` ends a command."""
    return data.StructLayout({"masters": masters_slice(config), "last": 1})


def operands_slice(config: AcceleratorConfig) -> data.StructLayout:
    """Shape of a slice of new operands, with its vector's place in its word.

    The `last` ends a command.
    """
    return data.StructLayout(
        {
            "operands": Shapes(config).slice,
            "slot": placed_item(config.vector).members["slot"],
            "last": 1,
        }
    )


class Results(wiring.Component):
    """Write both results of each command, one word a cycle in all.

    Vectors are put together out of their slices. Consecutive vectors of one word of operands are
    one write. Operands go first: they have fewer
    words, and would otherwise be left over at a command's end. Signals fire when memory has
    accepted the last word of both. Between two commands is a cycle without a write.

    Parameters
    ----------
    config : AcceleratorConfig

    Attributes
    ----------
    targets : In(stream.Signature(Results.target))
        Where a command's results go, in the order of the results.
    masters : In(stream.Signature(stepped_slice(config)))
    operands : In(stream.Signature(operands_slice(config)))
    writes : Out(stream.Signature(write_request(config.memory_bytes)))
    signals : Out(len(Unit))
    idle : Out(1)
        No command's results are still to be written.
    """

    target = data.StructLayout(
        {"masters": ADDRESS_BITS, "operands": ADDRESS_BITS, "signals": len(Unit)}
    )

    targets: stream.Interface
    masters: stream.Interface
    operands: stream.Interface
    writes: stream.Interface

    def __init__(self, config: AcceleratorConfig) -> None:
        self.config = config
        super().__init__(
            {
                "targets": In(stream.Signature(self.target)),
                "masters": In(stream.Signature(stepped_slice(config))),
                "operands": In(stream.Signature(operands_slice(config))),
                "writes": Out(stream.Signature(write_request(config.memory_bytes))),
                "signals": Out(len(Unit)),
                "idle": Out(1),
            }
        )

    def elaborate(self, platform):
        m = Module()
        m.submodules.waiting = waiting = Queue(self.target, depth=TARGETS)
        wiring.connect(m, outer=wiring.flipped(self.targets), inner=waiting.i)
        kinds = {"operands": self._coalesce(m), "masters": self._pack(m)}
        # One flip-flop a kind: words of it are to come.
        writing = Signal(len(kinds))
        left = Signal.like(writing)
        free = Signal()
        signals = Signal(len(Unit), reset_less=True)
        # A command's last write takes its signals along.
        m.submodules.leaving = leaving = LeavingWrites(self.config.memory_bytes, tag=len(Unit))
        wiring.connect(m, inner=leaving.writes, outer=wiring.flipped(self.writes))
        writes, offered = leaving.i, leaving.i.p.write
        m.d.comb += [
            free.eq(writing == 0),
            left.eq(writing),
            waiting.o.ready.eq(free),
            self.idle.eq(free & ~waiting.o.valid & leaving.empty),
            self.signals.eq(leaving.accepted),
            writes.p.tag.eq(Mux(left == 0, signals, 0)),
        ]
        turns = self._take_turns(m, writes, [words.valid for words in kinds.values()], writing)
        for index, (name, words) in enumerate(kinds.items()):
            address = Signal(ADDRESS_BITS, name=f"{name}_address", reset_less=True)
            m.d.comb += words.ready.eq(turns[index] & writing[index] & writes.ready)
            with m.If(turns[index]):
                m.d.comb += [
                    offered.address.eq(address),
                    offered.data.eq(words.p.data),
                    offered.mask.eq(words.p.mask),
                ]
            with m.If(words.valid & words.ready):
                m.d.sync += address.eq(address + 1)
                m.d.comb += left[index].eq(~words.p.last)
            with m.If(free):
                m.d.sync += address.eq(waiting.o.p[name])
        with m.If(free):
            m.d.sync += [
                writing.eq(waiting.o.valid.replicate(len(kinds))),
                signals.eq(waiting.o.p.signals),
            ]
        with m.Else():
            m.d.sync += writing.eq(left)
        return m

    @staticmethod
    def _take_turns(m, writes, waiting, writing):
        """Whose turn it is: the first's if it offers; what was once offered stays offered."""
        offers = Cat(waiting) & writing
        second, refused, refused_second = Signal(), Signal(), Signal()
        m.d.comb += [
            second.eq(Mux(refused, refused_second, ~offers[0])),
            writes.valid.eq(offers.any()),
        ]
        m.d.sync += [
            refused.eq(writes.valid & ~writes.ready),
            refused_second.eq(second),
        ]
        return ~second, second

    def _pack(self, m):
        """Weights and momenta as they lie in memory."""
        config = self.config
        m.submodules.pack = pack = Packer(config.masters, config.memory_bytes)
        m.submodules.steps = steps = Regroup(
            bits=8 * config.master_bytes * config.update_width,
            ways=2,
            tag=1,
            slices=config.update_slices,
        )
        masters = self.masters.p.masters
        m.d.comb += [
            steps.i.valid.eq(self.masters.valid),
            steps.i.p.tag.eq(self.masters.p.last),
            self.masters.ready.eq(steps.i.ready),
            pack.items.valid.eq(steps.o.valid),
            pack.items.p.data.eq(steps.o.p.parts.as_value()),
            pack.items.p.last.eq(steps.o.p.tag),
            steps.o.ready.eq(pack.items.ready),
        ]
        for part, lanes in zip(steps.i.p.parts, (masters.weights, masters.momenta), strict=True):
            m.d.comb += part.eq(extended(lanes, 8 * config.master_bytes))
        # Whose turn it is goes no farther than to here.
        m.submodules.packed = packed = Skid(pack.words.p.shape())
        wiring.connect(m, pack=pack.words, packed=packed.i)
        return packed.o

    def _coalesce(self, m):
        """Operands as they lie in memory."""
        config = self.config
        m.submodules.coalesce = coalesce = Coalesce(config.vector, config.memory_bytes)
        tag = data.StructLayout({"slot": len(self.operands.p.slot), "last": 1})
        m.submodules.vectors = vectors = Regroup(
            bits=8 * config.operand_bytes * config.update_width, ways=1, tag=tag,
            slices=config.update_slices,
        )  # fmt: skip
        item, operands = coalesce.items.p, self.operands.p
        m.d.comb += [
            vectors.i.valid.eq(self.operands.valid),
            vectors.i.p.parts[0].eq(extended(operands.operands, 8 * config.operand_bytes)),
            vectors.i.p.tag.slot.eq(operands.slot),
            vectors.i.p.tag.last.eq(operands.last),
            self.operands.ready.eq(vectors.i.ready),
            coalesce.items.valid.eq(vectors.o.valid),
            item.data.eq(vectors.o.p.parts[0]),
            item.slot.eq(vectors.o.p.tag.slot),
            item.last.eq(vectors.o.p.tag.last),
            vectors.o.ready.eq(coalesce.items.ready),
        ]
        # Half of all words at most are of operands, for masters are twice as wide or more.
        m.submodules.coalesced = coalesced = HalfBuffer(coalesce.words.p.shape())
        wiring.connect(m, coalesce=coalesce.words, coalesced=coalesced.i)
        return coalesced.o
