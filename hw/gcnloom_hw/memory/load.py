# SPDX-License-Identifier: Apache-2.0
"""The load unit: device memory to on-chip memories."""

from amaranth import Array, Cat, Const, Module, Mux, Signal, Value
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from gcnloom_hw.layout import Shapes
from gcnloom_hw.memory.items import (
    PLAIN,
    grouped,
    groups_of,
    item_bits,
    kind_of,
    kinds_of,
    packings_of,
    sizes_of,
)
from gcnloom_hw.memory.port import read_request
from gcnloom_hw.streams.gearbox import Unpacker, unpacked_word
from gcnloom_hw.streams.queue import Queue
from gcnloom_spec.config import LOCAL_BITS, AcceleratorConfig
from gcnloom_spec.isa import Opcode, Target, Unit

__all__ = ["Load"]

TRANSFERS = 4
"""Commands whose words have been asked for, or are being asked for."""


class Load(wiring.Component):
    """Execute :class:`gcnloom_spec.commands.Load` commands.

    Addresses of the next command go out while words of the previous still arrive. One word is
    asked for a cycle, one group of items written a cycle; signals fire with a command's last
    write. In a compact accelerator a command begins when the one before has ended.

    Parameters
    ----------
    config : AcceleratorConfig

    Attributes
    ----------
    commands : In(stream.Signature(load command))
    requests : Out(stream.Signature(read_request()))
    words : In(stream.Signature(unpacked_word(config.memory_bytes)))
    left_writes, right_writes : Out(stream.Signature(Shapes.vector_write))
    mask_transform_writes : Out(stream.Signature(Shapes.mask_write))
        Only if there is a mask memory.
    operand_writes : Out(stream.Signature(Shapes.vector_write))
    mask_aggregate_writes : Out(stream.Signature(Shapes.mask_write))
    edge_writes : Out(stream.Signature(Shapes.edge_write))
    order_writes : Out(stream.Signature(Shapes.order_write))
        These four only if there is a sparse engine; else what is loaded for it is dropped.
    signals : Out(len(Unit))
    asked : Out(len(Target))
        The target for which a word was asked in this cycle, one-hot.
    active, stalled, idle : Out(1)
    """

    def __init__(self, config: AcceleratorConfig) -> None:
        self.config = config
        self.shapes = shapes = Shapes(config)
        vector = Out(stream.Signature(shapes.vector_write))
        mask = Out(stream.Signature(shapes.mask_write))
        sparse = {}
        if config.sparse:
            sparse = {
                "operand_writes": vector,
                "mask_aggregate_writes": mask,
                "edge_writes": Out(stream.Signature(shapes.edge_write)),
                "order_writes": Out(stream.Signature(shapes.order_write)),
            }
        super().__init__(
            {
                "commands": In(stream.Signature(shapes.commands[Opcode.LOAD])),
                "requests": Out(stream.Signature(read_request())),
                "words": In(stream.Signature(unpacked_word(config.memory_bytes))),
                "left_writes": vector,
                "right_writes": vector,
                **({"mask_transform_writes": mask} if config.mask_depth else {}),
                **sparse,
                "signals": Out(len(Unit)),
                "asked": Out(len(Target)),
                "active": Out(1),
                "stalled": Out(1),
                "idle": Out(1),
            }
        )

    def elaborate(self, platform):
        m = Module()
        transfer = data.StructLayout(
            {
                "kinds": kinds_of(self.config),
                "target": 3,
                "bank": 4,
                "weight": self.config.operand_width,
                "base": LOCAL_BITS,
                "final": LOCAL_BITS,
                "enable": max(groups_of(self.config)),
                "signals": len(Unit),
            }
        )
        # One more transfer than these is the one whose words are unpacked.
        m.submodules.transfers = transfers = Queue(
            transfer, depth=0 if self.config.compact else TRANSFERS - 1
        )
        # Both ways into other units are cut, or a memory's turn would decide a word's arrival.
        cut = 0 if self.config.compact else 2
        m.submodules.arrived = arrived = Queue(self.words.payload.shape(), depth=cut)
        write = self._write_layout()
        m.submodules.leaving = leaving = Queue(
            write, depth=cut, registered=write.size - write["data"].width
        )
        wiring.connect(m, outer=wiring.flipped(self.words), inner=arrived.i)
        asking = self._ask(m, transfers)
        unpacking = self._unpack(m, transfers, arrived.o, leaving.i)
        self._write(m, leaving.o)
        m.d.comb += self.idle.eq(
            ~(asking | transfers.o.valid | unpacking | self.commands.valid | leaving.o.valid)
        )
        return m

    def _ask(self, m, transfers):
        """Issue one request for each word of a command."""
        command = self.commands.p
        kind = kind_of(self.config, command.target)
        packings = packings_of(self.config)
        most = max(packing.words_per_item for packing in packings)
        asking = Signal()
        target = Signal(Target)
        address = Signal(len(command.address), reset_less=True)
        word = Signal(range(most + 1))
        words = Signal(range(most + 1), reset_less=True)
        # How a word is filled is decoded with the command: a word holds `gives` items, and all
        # that are left if the index of the last has no bit of those that `beyond` has.
        left, gives, beyond = (
            Signal(LOCAL_BITS, name=name, reset_less=True) for name in ("left", "gives", "beyond")
        )
        item_done = Signal()
        m.d.comb += [
            transfers.i.valid.eq(self.commands.valid & ~asking),
            *(transfers.i.p[name].eq(command[name]) for name in ("bank", "signals")),
            transfers.i.p.target.eq(Mux(kind == PLAIN, Target.EDGES, command.target)),
            transfers.i.p.weight.eq(command.weight),
            # One-hot, so that a word finds its unpacker by one bit.
            transfers.i.p.kinds.eq(Const(1, kinds_of(self.config)) << kind),
            self.commands.ready.eq(~asking & transfers.i.ready),
            item_done.eq(word == words),
            self.requests.valid.eq(asking),
            self.requests.p.address.eq(address),
            self.requests.p.last.eq(item_done & ~(left & beyond).any()),
        ]
        # Groups, and the index of the last, so that nothing is added where writes are counted.
        final = Signal(LOCAL_BITS)
        m.d.comb += final.eq(command.count - 1)
        with m.Switch(kind):
            for number, group in enumerate(groups_of(self.config)):
                low = (group - 1).bit_length()
                with m.Case(number):
                    m.d.comb += [
                        transfers.i.p.base.eq(command.base >> low),
                        transfers.i.p.final.eq(final >> low),
                        transfers.i.p.enable.eq((2 << final[:low]) - 1),
                    ]
        with m.If(~asking):
            m.d.sync += [
                address.eq(command.address),
                left.eq(command.count - 1),
                gives.eq(Array(packing.items_per_word for packing in packings)[kind]),
                beyond.eq(Array(-packing.items_per_word for packing in packings)[kind]),
                words.eq(Array(packing.words_per_item for packing in packings)[kind]),
                word.eq(1),
                target.eq(command.target),
                asking.eq(self.commands.valid & transfers.i.ready),
            ]
        with m.Elif(self.requests.ready):
            m.d.comb += self.asked.eq(Const(1, len(Target)) << target)
            m.d.sync += [address.eq(address + 1), word.eq(word + 1)]
            with m.If(item_done):
                m.d.sync += [word.eq(1), left.eq(left - gives)]
            with m.If(self.requests.p.last):
                m.d.sync += asking.eq(0)
        return asking

    def _write_layout(self):
        """One group on its way to its memory; signals come with a command's last."""
        return data.StructLayout(
            {
                "data": max(
                    bits * group
                    for bits, group in zip(
                        sizes_of(self.config), groups_of(self.config), strict=True
                    )
                ),
                "target": 3,
                "bank": 4,
                "address": LOCAL_BITS,
                "enable": max(groups_of(self.config)),
                "signals": len(Unit),
            }
        )

    def _unpack(self, m, transfers, words, leaving):
        """Unpack the words of the oldest command and address its groups."""
        # In registers, and a group ahead what is the last, for all of this decides every cycle.
        transfer = Signal(transfers.o.payload.shape(), reset_less=True)
        unpacking, final, accepted, last = Signal(), Signal(), Signal(), Signal()
        mine = Signal(kinds_of(self.config))
        m.d.comb += [
            leaving.p.target.eq(transfer.target),
            leaving.p.bank.eq(transfer.bank),
            leaving.p.address.eq(transfer.base),
            leaving.p.enable.eq(Mux(final, transfer.enable, ~0)),
            leaving.p.signals.eq(Mux(final, transfer.signals, 0)),
            accepted.eq(leaving.valid & leaving.ready),
            last.eq(accepted & final),
            transfers.o.ready.eq(last | ~unpacking),
            self.active.eq(accepted),
            self.stalled.eq(unpacking & ~accepted),
        ]
        with m.If(accepted):
            m.d.sync += [
                transfer.base.eq(transfer.base + 1),
                transfer.final.eq(transfer.final - 1),
                final.eq(transfer.final == 1),
            ]
        with m.If(transfers.o.ready):
            m.d.sync += [
                unpacking.eq(transfers.o.valid),
                transfer.eq(transfers.o.p),
                final.eq(transfers.o.p.final == 0),
                mine.eq(Mux(transfers.o.valid, transfers.o.p.kinds, 0)),
            ]

        config = self.config
        names = ("vectors", "beats", "entries", "plain_beats")
        for index, packing in enumerate(packings_of(self.config)):
            group = groups_of(self.config)[index]
            unpacker = Unpacker(grouped(packing, group), config.memory_bytes)
            m.submodules[names[index]] = unpacker
            m.d.comb += [
                unpacker.flush.eq(last),
                unpacker.words.payload.eq(words.payload),
                unpacker.words.valid.eq(words.valid & mine[index]),
                unpacker.items.ready.eq(leaving.ready & mine[index]),
            ]
            with m.If(mine[index]):
                m.d.comb += [
                    words.ready.eq(unpacker.words.ready),
                    leaving.valid.eq(unpacker.items.valid),
                    leaving.p.data.eq(
                        item_bits(config, index, unpacker.items.payload, transfer.weight)
                    ),
                ]
        return unpacking

    def _write(self, m, leaving):
        """Offer the group to the memory it is for; fire the signals that come with it."""
        lanes, width = self.config.lanes, self.config.operand_width
        positive = Cat(
            leaving.p.data.word_select(lane, width).as_signed() > 0
            for lane in range(lanes * self.config.vector_group)
        )
        data = leaving.p.data
        ports = {
            Target.LEFT: (self.left_writes, data),
            Target.RIGHT: (self.right_writes, data),
        }
        if self.config.mask_depth:
            ports[Target.MASK_TRANSFORM] = (self.mask_transform_writes, positive)
        if self.config.sparse:
            ports |= {
                Target.OPERAND: (self.operand_writes, data),
                Target.MASK_AGGREGATE: (self.mask_aggregate_writes, positive),
                Target.EDGES: (self.edge_writes, data),
                Target.ORDER: (self.order_writes, data),
            }
        else:
            # What is for a memory that is not there is dropped.
            m.d.comb += leaving.ready.eq(1)
        for target, (port, bits) in ports.items():
            if "bank" in port.payload.shape().members:
                m.d.comb += port.p.bank.eq(leaving.p.bank)
            m.d.comb += [
                port.p.address.eq(leaving.p.address),
                port.p.enable.eq(leaving.p.enable),
                Value.cast(port.p.data).eq(bits),
            ]
            with m.If(leaving.p.target == target):
                m.d.comb += [port.valid.eq(leaving.valid), leaving.ready.eq(port.ready)]
        with m.If(leaving.valid & leaving.ready):
            m.d.comb += self.signals.eq(leaving.p.signals)
