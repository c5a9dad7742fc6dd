# SPDX-License-Identifier: Apache-2.0
"""The only bridge from the contract's words and sizes to Amaranth shapes."""

from amaranth import signed, unsigned
from amaranth.lib import data

from gcnloom_spec.config import LOCAL_BITS, AcceleratorConfig
from gcnloom_spec.isa import EMISSION, WORDS, Unit
from gcnloom_spec.items import edge_word, order_word
from gcnloom_spec.words import Word

__all__ = ["Shapes", "layout"]


def layout(word: Word) -> data.StructLayout:
    """Amaranth layout with the fields, order and widths of `word`."""
    return data.StructLayout(
        {
            name: unsigned(width) if width > 0 else signed(-width)
            for name, width in word.fields.items()
        }
    )


def group_write(item, group, more=None):
    """Layout of a write of up to `group` items at once."""
    return data.StructLayout(
        {
            "address": unsigned(LOCAL_BITS),
            **(more or {}),
            "enable": unsigned(group),
            "data": data.ArrayLayout(item, group),
        }
    )


class Shapes:
    """Payload shapes of the streams inside one accelerator.

    Parameters
    ----------
    config : AcceleratorConfig

    Attributes
    ----------
    vector : data.ArrayLayout
        `lanes` signed operands.
    sums : data.ArrayLayout
        `lanes` signed sums.
    slice, slice_sums : data.ArrayLayout
        `update_width` of either, which the update unit works on in a cycle.
    engine_sums : data.StructLayout
        What an engine hands its epilogue: `sums`; `emit`: they count; `last`: the command ends
        here (a command that emits nothing ends with one beat that has `last` without `emit`).
    vector_write, mask_write, edge_write, order_write : data.StructLayout
        A write to an on-chip memory: a group of items (`data`), those of them that are written
        (`enable`), the group's number (`address`; `bank` for vectors).
    emission : data.StructLayout
        The emission of a command with its `signals`.
    edge, order : data.StructLayout
        One edge, one drain-order entry; like `beat`, `edge_write` and `order_write` only if there
        is a sparse engine.
    beat : data.ArrayLayout
        An edge for each PE.
    commands : dict[Opcode, data.StructLayout]
    """

    def __init__(self, config: AcceleratorConfig) -> None:
        self.vector = data.ArrayLayout(signed(config.operand_width), config.lanes)
        self.sums = data.ArrayLayout(signed(config.sum_width), config.lanes)
        self.slice = data.ArrayLayout(signed(config.operand_width), config.update_width)
        self.slice_sums = data.ArrayLayout(signed(config.sum_width), config.update_width)
        self.engine_sums = data.StructLayout({"sums": self.sums, "emit": 1, "last": 1})
        bank = {"bank": unsigned(EMISSION["destination_bank"])}
        self.vector_write = group_write(self.vector, config.vector_group, bank)
        self.mask_write = group_write(unsigned(config.lanes), config.vector_group)
        if config.sparse:
            self.edge = layout(edge_word(config))
            self.order = layout(order_word(config))
            self.beat = data.ArrayLayout(self.edge, config.pes)
            self.edge_write = group_write(self.beat, config.edge_group)
            self.order_write = group_write(self.order, config.order_group)
        self.emission = layout(Word("emission", {"signals": len(Unit), **EMISSION}))
        self.commands = {opcode: layout(word) for opcode, word in WORDS.items()}
