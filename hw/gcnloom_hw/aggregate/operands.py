# SPDX-License-Identifier: Apache-2.0
"""Where processing elements get their operands: each from its own copy, or all from banks."""

from amaranth import Cat, Const, Module, Mux, Signal
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from gcnloom_hw.arithmetic.delay import delay_line
from gcnloom_hw.layout import Shapes
from gcnloom_hw.memory.grouped import GroupedMemory
from gcnloom_hw.memory.scratchpad import Scratchpad
from gcnloom_spec.config import AcceleratorConfig

__all__ = ["OperandBanks", "OperandCopies", "operand_feed"]

KEEP = {"keep": 1}


class _OperandFeed(wiring.Component):
    """What copies and banks have in common.

    Parameters
    ----------
    config : AcceleratorConfig

    Attributes
    ----------
    writes : In(stream.Signature(Shapes.vector_write))
        Always ready; `bank` is ignored. Edges in the cycle after it see a write.
    edges : In(Shapes.beat)
    base : In(range(operand_depth))
        Added to the edges' columns.
    operands : Out(data.ArrayLayout(Shapes.vector, pes))
        Of each element's edge, `latency` cycles after it.
    conflict : Out(1)
        Operands could not all be read; those that were are wrong.
    """

    writes: stream.Interface

    def __init__(self, config: AcceleratorConfig) -> None:
        self.config = config
        shapes = Shapes(config)
        super().__init__(
            {
                "writes": In(stream.Signature(shapes.vector_write)),
                "edges": In(shapes.beat),
                "base": In(range(config.operand_depth)),
                "operands": Out(data.ArrayLayout(shapes.vector, config.pes)),
                "conflict": Out(1),
            }
        )

    def _written(self, m):
        """Return the write of the cycle before; without one, its `enable` is zero."""
        write = Signal(self.writes.payload.shape(), reset_less=True)
        valid = Signal()
        m.d.comb += self.writes.ready.eq(1)
        m.d.sync += [write.eq(self.writes.p), valid.eq(self.writes.valid)]
        return write, write.enable & valid.replicate(self.config.vector_group)


class OperandCopies(_OperandFeed):
    """A whole operand memory for each processing element, all written alike."""

    latency = 3

    def elaborate(self, platform):
        m = Module()
        written, enable = self._written(m)
        for pe in range(self.config.pes):
            m.submodules[f"copy{pe}"] = memory = GroupedMemory(
                width=self.config.lanes * self.config.operand_width,
                depth=self.config.operand_depth,
                group=self.config.vector_group,
            )
            # This element's own copy of the registers that feed a wide broadcast; `keep`, for
            # synthesis would merge them into one again, far from most of the memories.
            write_enable = Signal.like(enable, name=f"write_enable{pe}", attrs=KEEP)
            write_address = Signal(
                len(memory.write_address), name=f"write_address{pe}", reset_less=True, attrs=KEEP
            )
            write_data = Signal(
                len(memory.write_data), name=f"write_data{pe}", reset_less=True, attrs=KEEP
            )
            address = Signal.like(memory.read_address, name=f"address{pe}", reset_less=True)
            operands = Signal(Shapes(self.config).vector, name=f"operands{pe}", reset_less=True)
            m.d.sync += [
                write_enable.eq(enable),
                write_address.eq(written.address),
                write_data.eq(written.data),
                address.eq(self.base + self.edges[pe].column),
                operands.as_value().eq(memory.read_data),
            ]
            m.d.comb += [
                memory.write_enable.eq(write_enable),
                memory.write_address.eq(write_address),
                memory.write_data.eq(write_data),
                memory.read_address.eq(address),
                self.operands[pe].eq(operands),
            ]
        return m


class OperandBanks(_OperandFeed):
    """One operand memory for all processing elements: row `r` is row ``r // B`` of bank ``r % B``.

    A bank gives one row a cycle, so no two valid edges of a beat may read the same one; if two
    do, `conflict` rises 2 cycles after them. `base` is a multiple of the number of banks.
    """

    latency = 5

    def elaborate(self, platform):
        m = Module()
        config = self.config
        low = (config.operand_banks - 1).bit_length()
        row = range(config.operand_depth // config.operand_banks)
        reads, rows, chosen = [], [], []
        for pe, edge in enumerate(self.edges):
            read = Signal(config.operand_banks, name=f"read{pe}")
            address = Signal(row, name=f"row{pe}", reset_less=True)
            m.d.sync += [
                read.eq(Mux(edge.valid, Const(1) << edge.column[:low], 0)),
                address.eq(self.base[low:] + edge.column[low:]),
            ]
            reads.append(read)
            rows.append(address)
            chosen.append(self._chosen(m, pe, edge.column[:low]))

        memories = [
            Scratchpad(width=config.lanes * config.operand_width, depth=len(row))
            for _ in range(config.operand_banks)
        ]
        words = []
        clashes = Signal(config.operand_banks)
        for bank, memory in enumerate(memories):
            m.submodules[f"bank{bank}"] = memory
            readers = [read[bank] for read in reads]
            address = Signal(row, name=f"address{bank}", reset_less=True)
            word = Signal(len(memory.read_data), name=f"word{bank}", reset_less=True)
            m.d.sync += [
                address.eq(_selected(readers, rows)),
                clashes[bank].eq(_several(readers)),
                word.eq(memory.read_data),
            ]
            m.d.comb += memory.read_address.eq(address)
            words.append(word)
        m.d.comb += self.conflict.eq(clashes.any())
        self._write(m, memories)

        for pe, select in enumerate(chosen):
            operands = Signal(Shapes(config).vector, name=f"operands{pe}", reset_less=True)
            m.d.sync += operands.as_value().eq(_selected(select, words))
            m.d.comb += self.operands[pe].eq(operands)
        return m

    def _chosen(self, m, pe, bank):
        """Return the bank of the edge 4 cycles ago, one-hot."""
        number = delay_line(m, bank, 3, name=f"bank{pe}")[3]
        chosen = Signal(self.config.operand_banks, name=f"chosen{pe}", reset_less=True)
        m.d.sync += chosen.eq(Const(1) << number)
        return chosen

    def _write(self, m, memories):
        """Write each item of a group to its bank; a group fills neighbouring ones."""
        group = self.config.vector_group
        part = (len(memories) // group - 1).bit_length()
        written, enable = self._written(m)
        write = Signal.like(written, reset_less=True)
        m.d.sync += write.eq(written)
        for bank, memory in enumerate(memories):
            index, item = divmod(bank, group)
            write_enable = Signal(name=f"write_enable{bank}")
            m.d.sync += write_enable.eq(enable[item] & (written.address[:part] == index))
            m.d.comb += [
                memory.write_enable.eq(write_enable),
                memory.write_address.eq(write.address[part:]),
                memory.write_data.eq(write.data[item]),
            ]


def operand_feed(config: AcceleratorConfig) -> type[OperandCopies] | type[OperandBanks]:
    """Return which of the two an accelerator has."""
    return OperandBanks if config.operand_banks else OperandCopies


def _selected(select, values):
    """Return the value that is selected, one-hot: an AND and an OR, no multiplexers in a chain."""
    terms = [Mux(chosen, value, 0) for chosen, value in zip(select, values, strict=True)]
    while len(terms) > 1:
        terms = [
            terms[index] | terms[index + 1] if index + 1 < len(terms) else terms[index]
            for index in range(0, len(terms), 2)
        ]
    return terms[0]


def _several(bits):
    """Return whether more than one bit is set."""
    return Cat(one & Cat(bits[:index]).any() for index, one in enumerate(bits)).any()
