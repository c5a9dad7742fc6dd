# SPDX-License-Identifier: Apache-2.0
"""The load unit: device memory to on-chip memories."""

from amaranth import Array, Cat, Const, Module, Signal, Value
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from gcnloom_hw.layout import Shapes
from gcnloom_hw.memory.port import read_request
from gcnloom_hw.streams.gearbox import Unpacker, unpacked_word
from gcnloom_hw.streams.queue import Queue
from gcnloom_spec.config import LOCAL_BITS, AcceleratorConfig
from gcnloom_spec.isa import Opcode, Target

__all__ = ["Load"]

KINDS = 3
VECTOR, EDGES, ORDER = range(KINDS)


class Load(wiring.Component):
    """Execute :class:`gcnloom_spec.commands.Load` commands.

    Addresses of the next command go out while words of the previous still arrive. One word is
    asked for a cycle, one item written a cycle; signals fire with a command's last write.

    Parameters
    ----------
    config : AcceleratorConfig

    Attributes
    ----------
    commands : In(stream.Signature(load command))
    requests : Out(stream.Signature(read_request()))
    words : In(stream.Signature(unpacked_word(config.memory_bytes)))
    operand_writes, left_writes, right_writes : Out(stream.Signature(Shapes.vector_write))
    mask_aggregate_writes, mask_transform_writes : Out(stream.Signature(Shapes.mask_write))
    edge_writes : Out(stream.Signature(Shapes.edge_write))
    order_writes : Out(stream.Signature(Shapes.order_write))
    signals : Out(4)
    asked : Out(len(Target))
        The target for which a word was asked in this cycle, one-hot.
    active, stalled, idle : Out(1)
    """

    def __init__(self, config: AcceleratorConfig) -> None:
        self.config = config
        self.shapes = shapes = Shapes(config)
        vector = Out(stream.Signature(shapes.vector_write))
        mask = Out(stream.Signature(shapes.mask_write))
        super().__init__(
            {
                "commands": In(stream.Signature(shapes.commands[Opcode.LOAD])),
                "requests": Out(stream.Signature(read_request())),
                "words": In(stream.Signature(unpacked_word(config.memory_bytes))),
                "operand_writes": vector,
                "left_writes": vector,
                "right_writes": vector,
                "mask_aggregate_writes": mask,
                "mask_transform_writes": mask,
                "edge_writes": Out(stream.Signature(shapes.edge_write)),
                "order_writes": Out(stream.Signature(shapes.order_write)),
                "signals": Out(4),
                "asked": Out(len(Target)),
                "active": Out(1),
                "stalled": Out(1),
                "idle": Out(1),
            }
        )

    def elaborate(self, platform):
        m = Module()
        transfer = data.StructLayout(
            {"target": 3, "bank": 4, "base": LOCAL_BITS, "final": LOCAL_BITS, "signals": 4}
        )
        m.submodules.transfers = transfers = Queue(transfer, depth=4)
        asking = self._ask(m, transfers)
        self._write(m, transfers)
        m.d.comb += self.idle.eq(~asking & ~transfers.o.valid & ~self.commands.valid)
        return m

    def _ask(self, m, transfers):
        """Issue one request for each word of a command."""
        command = self.commands.p
        packings = (self.config.vector, self.config.edge_beat, self.config.order)
        asking = Signal()
        target = Signal(Target)
        address = Signal(len(command.address), reset_less=True)
        items = Signal(LOCAL_BITS)
        word = Signal(range(max(2, max(packing.words_per_item for packing in packings))))
        gives = Array(packing.items_per_word for packing in packings)[_kind(target)]
        takes = Array(packing.words_per_item for packing in packings)[_kind(target)]
        item_done = Signal()
        m.d.comb += [
            transfers.i.valid.eq(self.commands.valid & ~asking),
            *(
                transfers.i.p[name].eq(command[name])
                for name in ("target", "bank", "base", "signals")
            ),
            # The index of the last item, so that nothing is added where writes are counted.
            transfers.i.p.final.eq(command.count - 1),
            self.commands.ready.eq(~asking & transfers.i.ready),
            item_done.eq(word + 1 == takes),
            self.requests.valid.eq(asking),
            self.requests.p.address.eq(address),
            self.requests.p.last.eq(item_done & (items <= gives)),
        ]
        with m.If(self.commands.valid & self.commands.ready):
            m.d.sync += [
                asking.eq(1),
                address.eq(command.address),
                items.eq(command.count),
                word.eq(0),
                target.eq(command.target),
            ]
        with m.If(self.requests.valid & self.requests.ready):
            m.d.comb += self.asked.eq(Const(1, len(Target)) << target)
            m.d.sync += [address.eq(address + 1), word.eq(word + 1)]
            with m.If(item_done):
                m.d.sync += [word.eq(0), items.eq(items - gives)]
            with m.If(self.requests.p.last):
                m.d.sync += asking.eq(0)
        return asking

    def _write(self, m, transfers):
        """Unpack the words of the oldest command and write its items."""
        transfer = transfers.o.p
        kind = _kind(transfer.target)
        done = Signal(LOCAL_BITS)
        accepted = Signal()
        last = Signal()
        address = Signal(LOCAL_BITS)
        m.d.comb += [
            address.eq(transfer.base + done),
            last.eq(accepted & (done == transfer.final)),
            transfers.o.ready.eq(last),
            self.active.eq(accepted),
            self.stalled.eq(transfers.o.valid & ~accepted),
        ]
        with m.If(accepted):
            m.d.sync += done.eq(done + 1)
        with m.If(last):
            m.d.comb += self.signals.eq(transfer.signals)
            m.d.sync += done.eq(0)

        config = self.config
        items = []
        for index, (name, packing) in enumerate(
            (
                ("vectors", config.vector),
                ("beats", config.edge_beat),
                ("entries", config.order),
            )
        ):
            unpacker = Unpacker(packing, config.memory_bytes)
            m.submodules[name] = unpacker
            items.append(unpacker.items)
            mine = Signal(name=f"{name}_mine")
            m.d.comb += [
                mine.eq(transfers.o.valid & (kind == index)),
                unpacker.flush.eq(last),
                unpacker.words.payload.eq(self.words.payload),
                unpacker.words.valid.eq(self.words.valid & mine),
            ]
            with m.If(mine):
                m.d.comb += self.words.ready.eq(unpacker.words.ready)
        self._route(m, transfer, transfers.o.valid, items, address, accepted)

    def _route(self, m, transfer, busy, items, address, accepted):
        vector = self._vector(items[VECTOR].payload)
        edges = [
            items[EDGES].payload[8 * self.config.edge_bytes * pe :][: self.config.edge_bits]
            for pe in range(self.config.pes)
        ]
        positive = Cat(element > 0 for element in vector)
        vector_bits = Cat(vector)
        ports = {
            Target.OPERAND: (self.operand_writes, VECTOR, vector_bits),
            Target.LEFT: (self.left_writes, VECTOR, vector_bits),
            Target.RIGHT: (self.right_writes, VECTOR, vector_bits),
            Target.MASK_AGGREGATE: (self.mask_aggregate_writes, VECTOR, positive),
            Target.MASK_TRANSFORM: (self.mask_transform_writes, VECTOR, positive),
            Target.EDGES: (self.edge_writes, EDGES, Cat(edges)),
            Target.ORDER: (self.order_writes, ORDER, items[ORDER].payload),
        }
        for target, (port, kind, bits) in ports.items():
            if "bank" in port.payload.shape().members:
                m.d.comb += port.p.bank.eq(transfer.bank)
            m.d.comb += [port.p.address.eq(address), Value.cast(port.p.data).eq(bits)]
            with m.If(busy & (transfer.target == target)):
                m.d.comb += [
                    port.valid.eq(items[kind].valid),
                    items[kind].ready.eq(port.ready),
                    accepted.eq(port.valid & port.ready),
                ]

    def _vector(self, item):
        width = 8 * self.config.operand_bytes
        return [
            item[width * lane :][: self.config.operand_width].as_signed()
            for lane in range(self.config.lanes)
        ]


def _kind(target):
    """How the items of a target are packed."""
    kinds = [VECTOR] * 8
    kinds[Target.EDGES] = EDGES
    kinds[Target.ORDER] = ORDER
    return Array(kinds)[target]
