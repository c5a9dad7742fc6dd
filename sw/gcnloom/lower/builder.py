# SPDX-License-Identifier: Apache-2.0
"""Commands in program order, with what each reads and writes on the way to its tokens."""

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from gcnloom.errors import ProgramError
from gcnloom.lower.buffers import Arena
from gcnloom.lower.output import Output, Tensor
from gcnloom.lower.work import check_draws
from gcnloom.programs.access import Reach, accesses_of
from gcnloom.programs.dependence import insert_tokens
from gcnloom.programs.program import Program
from gcnloom_spec.commands import Command, Emission, Load, Store
from gcnloom_spec.config import AcceleratorConfig
from gcnloom_spec.isa import Destination, Source, Target
from gcnloom_spec.items import load_group

__all__ = ["Builder", "Output", "Tensor", "aligned", "region_unit", "row_unit"]

DIRECT = {
    Target.OPERAND: Destination.OPERAND,
    Target.LEFT: Destination.LEFT,
    Target.RIGHT: Destination.RIGHT,
}


def aligned(rows: int, config: AcceleratorConfig) -> int:
    """Largest row count up to `rows` whose vectors fill whole memory words."""
    return rows - rows % config.vector.items_per_word


def region_unit(config: AcceleratorConfig, target: Target) -> int:
    """Items of which every region of an on-chip memory begins and ends at a multiple.

    Loads write groups of them; where elements share operand banks, column 0 lies in bank 0.
    """
    group = load_group(config, target)
    return max(group, config.operand_banks) if target is Target.OPERAND else group


def row_unit(config: AcceleratorConfig) -> int:
    """Rows whose vectors fill whole memory words and every operand bank.

    The tiles of an operand, each of which begins in the first bank, are multiples of it wide.
    """
    return max(config.vector.items_per_word, config.operand_banks)


class Builder:
    """Collect commands; load what is not on chip yet.

    Parameters
    ----------
    config : AcceleratorConfig
    serial : bool
        Let the units of the device take turns, for comparison.

    Attributes
    ----------
    commands : list of Command
        Without tokens.
    reaches : list of Reach or None
        How far an :class:`Aggregate` or :class:`Drain` goes; None for the others.
    arenas : dict[Target, Arena]
    accumulators, sums : Arena
        Of the sparse engine, of the array.
    contents : dict of int to NDArray[np.uint64]
        What an :class:`Aggregate` or :class:`Drain` finds on chip, by its number.
    zeros : Tensor or None
        Vectors that fill the left memory's banks beside a tensor's last panels. Without it these
        banks hold anything, and results have rows of no meaning that nobody may use.
    """

    def __init__(self, config: AcceleratorConfig, *, serial: bool = False) -> None:
        self.config = config
        self._serial = serial
        self.commands: list[Command] = []
        self.reaches: list[Reach | None] = []
        self.contents: dict[int, NDArray[np.uint64]] = {}
        self.zeros: Tensor | None = None
        depths = {
            Target.OPERAND: ("operand", config.operand_depth),
            Target.EDGES: ("edge", config.edge_depth),
            Target.ORDER: ("order", config.order_depth),
            Target.LEFT: ("left", config.left_depth),
            Target.RIGHT: ("right", config.right_depth),
            Target.MASK_AGGREGATE: ("mask", config.mask_depth),
            Target.MASK_TRANSFORM: ("mask", config.mask_depth),
        }
        self.arenas = {
            target: Arena(name, depth, region_unit(config, target))
            for target, (name, depth) in depths.items()
        }
        self.accumulators = Arena("accumulator", config.accumulator_depth, around=True)
        self.sums = Arena("sum", config.sum_depth)

    def add(
        self,
        command: Command,
        reach: Reach | None = None,
        contents: NDArray[np.uint64] | None = None,
    ) -> None:
        """Append a command; `reach` and `contents` are those of an aggregate or a drain."""
        if contents is not None:
            self.contents[len(self.commands)] = contents
        self.commands.append(command)
        self.reaches.append(reach)

    def banks(self, target: Target) -> int:
        """Panels that lie side by side in a row of a memory."""
        banks = {Target.LEFT: self.config.left_banks, Target.RIGHT: self.config.right_banks}
        return banks.get(target, 1)

    def items(
        self, target: Target, key: str, span: range, address: int, weight: int | None = None
    ) -> int:
        """Have items `span` of `key`, which lie from `address` on, in an on-chip memory.

        With a `weight` they are edges that lie without it.
        """
        base = self.arenas[target].find(key, span)
        if base is None:
            base = self.arenas[target].place(key, span)
            kind = target if weight is None else Target.PLAIN_EDGES
            self.add(
                Load(target=kind, base=base, count=len(span), address=address, weight=weight or 0)
            )
        return base

    def rows(self, target: Target, tensor: Tensor, group: int, rows: range) -> int:
        """Have rows of a group of panels on chip; a group fills the memory's banks."""
        span = self.span(tensor, group, rows)
        base = self.arenas[target].find(tensor.name, span)
        if base is not None:
            return base
        layout = tensor.layout
        base = self.arenas[target].place(tensor.name, span)
        banks = self.banks(target)
        for bank in range(min(banks, layout.panels - group * banks)):
            address = layout.panel_address(group * banks + bank, rows.start)
            self.add(Load(target=target, base=base, count=len(rows), address=address, bank=bank))
        if target == Target.LEFT and self.zeros is not None:
            address = self.zeros.layout.address
            for bank in range(max(0, layout.panels - group * banks), banks):
                self.add(
                    Load(target=target, base=base, count=len(rows), address=address, bank=bank)
                )
        return base

    def reserve(self, output: Output, panel: int, rows: range) -> Output:
        """Make room where the fabric carries some rows of a panel; call before they leave.

        Panels of one group lie side by side in the memory's banks. What lies in device memory
        as well is a cache: without its `direct` the output is returned where there is no room,
        or earlier panels of the group are gone. The rest is pinned until it is released.
        """
        if output.direct is None:
            return output
        arena = self.arenas[output.direct]
        group, bank = divmod(panel, self.banks(output.direct))
        tensor = output.tensor
        if arena.find(tensor.name, self.span(tensor, group, rows)) is None:
            start = rows.start - rows.start % output.grid if output.grid else 0
            cell = range(start, min(start + (output.grid or tensor.rows), tensor.rows))
            span = self.span(tensor, group, cell)
            cached = tensor.stored is not None
            if cached and (bank or not arena.fits(len(span))):
                return replace(output, direct=None)
            arena.place(tensor.name, span, pinned=not cached, high=bool(output.grid))
        return output

    def pin(self, target: Target, tensor: Tensor, panel: int, rows: range) -> None:
        """Keep rows of a panel's group where they are."""
        span = self.span(tensor, panel // self.banks(target), rows)
        self.arenas[target].pin(tensor.name, span)

    def release(self, target: Target, tensor: Tensor, panel: int, rows: range) -> None:
        """Let go of rows of a panel's group."""
        span = self.span(tensor, panel // self.banks(target), rows)
        self.arenas[target].release(tensor.name, span)

    def emission(self, source: Source, output: Output, panel: int, rows: range) -> Emission:
        """Describe one panel's rows leaving an engine; adds what takes them."""
        tensor, config = output.tensor, self.config
        check_draws(config, dropout=output.dropout, stochastic=output.stochastic)
        mask_base = 0
        if output.mask is not None:
            target = Target.MASK_AGGREGATE if source is Source.AGGREGATE else Target.MASK_TRANSFORM
            mask_base = self.rows(target, output.mask, panel, rows)
        base = bank = 0
        if output.direct is not None:
            group, bank = divmod(panel, self.banks(output.direct))
            found = self.arenas[output.direct].find(tensor.name, self.span(tensor, group, rows))
            if found is None:
                raise ProgramError(f"no room is reserved on chip for {tensor.name!r}; reserve it")
            base = found
        stored = tensor.stored is not None and output.descent is None
        if output.descent is not None:
            self.add(output.descent.step(source, panel, rows))
        elif tensor.stored is not None:
            address = tensor.stored.panel_address(panel, rows.start)
            self.add(Store(source=source, count=len(rows), raw=int(output.raw), address=address))
        return Emission(
            vectors=len(rows), raw=int(output.raw), relu=int(output.relu),
            stochastic=int(output.stochastic), mask=int(output.mask is not None),
            mask_base=mask_base, dropout=int(output.dropout > 0), threshold=output.dropout,
            tensor=output.identifier, row=output.row + rows.start,
            feature=panel * config.lanes + output.feature,
            destination=DIRECT[output.direct] if output.direct is not None else Destination.NONE,
            destination_base=base, destination_bank=bank, store=int(stored),
            step=int(output.descent is not None),
        )  # fmt: skip

    def program(self) -> Program:
        """Return the commands with the tokens that keep them in order."""
        accesses = [
            accesses_of(command, self.config, reach)
            for command, reach in zip(self.commands, self.reaches, strict=True)
        ]
        commands = insert_tokens(self.commands, accesses, serial=self._serial)
        return Program.of(commands, self.config.digest, self.contents)

    def span(self, tensor: Tensor, group: int, rows: range) -> range:
        """Return rows of a panel group as items of one long sequence of groups."""
        start = group * tensor.rows
        return range(start + rows.start, start + rows.stop)
