# SPDX-License-Identifier: Apache-2.0
"""Commands in program order, with what each reads and writes on the way to its tokens."""

from dataclasses import dataclass, replace

from gcnloom.errors import ProgramError
from gcnloom.lower.buffers import Ring
from gcnloom.programs.access import Reach, accesses_of
from gcnloom.programs.dependence import insert_tokens
from gcnloom.programs.program import Program
from gcnloom.tensors.memory import TensorLayout
from gcnloom_spec.commands import Command, Emission, Load, Store
from gcnloom_spec.config import AcceleratorConfig
from gcnloom_spec.isa import Destination, Source, Target

__all__ = ["Builder", "Output", "Tensor", "aligned"]

DIRECT = {
    Target.OPERAND: Destination.OPERAND,
    Target.LEFT: Destination.LEFT,
    Target.RIGHT: Destination.RIGHT,
}


def aligned(rows: int, config: AcceleratorConfig) -> int:
    """Largest row count up to `rows` whose vectors fill whole memory words."""
    return rows - rows % config.vector.items_per_word


@dataclass(frozen=True, kw_only=True)
class Tensor:
    """A dense matrix a program works on.

    Parameters
    ----------
    name : str
    rows, features : int
    stored : TensorLayout, optional
        Where it lies in device memory; left out, it only ever passes through the fabric.
    """

    name: str
    rows: int
    features: int
    stored: TensorLayout | None = None

    @property
    def layout(self) -> TensorLayout:
        """Where it lies in device memory; an error if it does not."""
        if self.stored is None:
            raise ProgramError(f"{self.name!r} is not in device memory; store it first")
        return self.stored


@dataclass(frozen=True, kw_only=True)
class Output:
    """How a product leaves its engine.

    Parameters
    ----------
    tensor : Tensor
        Stored to device memory if it has a layout.
    identifier : int
        Tensor number of statistics, random draws and shifts.
    raw, relu : bool
    mask : Tensor, optional
        Elements where this tensor is not above zero become zero.
    dropout : int
        Threshold of 256 below which an element is dropped.
    direct : Target, optional
        On-chip memory the fabric also carries the vectors to.
    counted : int, optional
        Rows from this one on, which the loss does not see, go by the tensor number `outside`,
        so that they leave no trace in the statistics that shifts follow from.
    outside : int
    """

    tensor: Tensor
    identifier: int = 0
    raw: bool = False
    relu: bool = False
    stochastic: bool = False
    mask: Tensor | None = None
    dropout: int = 0
    direct: Target | None = None
    counted: int | None = None
    outside: int = 0


class Builder:
    """Collect commands; load what is not on chip yet.

    Parameters
    ----------
    config : AcceleratorConfig

    Attributes
    ----------
    commands : list of Command
        Without tokens.
    reaches : list of Reach or None
        How far an :class:`Aggregate` or :class:`Drain` goes; None for the others.
    """

    def __init__(self, config: AcceleratorConfig) -> None:
        self.config = config
        self.commands: list[Command] = []
        self.reaches: list[Reach | None] = []
        self.rings = {
            Target.OPERAND: Ring("operand", config.operand_depth),
            Target.EDGES: Ring("edge", config.edge_depth),
            Target.ORDER: Ring("order", config.order_depth),
            Target.LEFT: Ring("left", config.left_depth),
            Target.RIGHT: Ring("right", config.right_depth),
            Target.MASK_AGGREGATE: Ring("mask", config.mask_depth),
            Target.MASK_TRANSFORM: Ring("mask", config.mask_depth),
        }

    def add(self, command: Command, reach: Reach | None = None) -> None:
        """Append a command; `reach` is that of an aggregate or a drain."""
        self.commands.append(command)
        self.reaches.append(reach)

    def banks(self, target: Target) -> int:
        """Panels that lie side by side in a row of a memory."""
        banks = {Target.LEFT: self.config.left_banks, Target.RIGHT: self.config.right_banks}
        return banks.get(target, 1)

    def items(self, target: Target, key: str, span: range, address: int) -> int:
        """Have items `span` of `key`, which lie from `address` on, in an on-chip memory."""
        base = self.rings[target].find(key, span)
        if base is None:
            base = self.rings[target].place(key, span)
            self.add(Load(target=target, base=base, count=len(span), address=address))
        return base

    def rows(self, target: Target, tensor: Tensor, group: int, rows: range) -> int:
        """Have rows of a group of panels on chip; a group fills the memory's banks."""
        span = self._span(tensor, group, rows)
        base = self.rings[target].find(tensor.name, span)
        if base is not None:
            return base
        layout = tensor.layout
        base = self.rings[target].place(tensor.name, span)
        banks = self.banks(target)
        for bank in range(min(banks, layout.panels - group * banks)):
            address = layout.panel_address(group * banks + bank, rows.start)
            self.add(Load(target=target, base=base, count=len(rows), address=address, bank=bank))
        return base

    def reserve(self, output: Output, panels: range) -> Output:
        """Make room where the fabric carries some panels of an output; call before they leave.

        Returns the output without its `direct` where earlier panels of the same group are no
        longer there, or the memory is too small.
        """
        if output.direct is None:
            return output
        ring, banks = self.rings[output.direct], self.banks(output.direct)
        groups = range(panels.start // banks, -(-panels.stop // banks))
        span = range(groups.start * output.tensor.rows, groups.stop * output.tensor.rows)
        if ring.find(output.tensor.name, span) is None:
            if panels.start % banks or len(span) > ring.depth:
                return replace(output, direct=None)
            ring.place(output.tensor.name, span)
        return output

    def emission(self, source: Source, output: Output, panel: int, rows: range) -> Emission:
        """Describe one panel's rows leaving an engine; adds the store that takes them."""
        tensor, config = output.tensor, self.config
        mask_base = 0
        if output.mask is not None:
            target = Target.MASK_AGGREGATE if source is Source.AGGREGATE else Target.MASK_TRANSFORM
            mask_base = self.rows(target, output.mask, panel, rows)
        base = bank = 0
        if output.direct is not None:
            group, bank = divmod(panel, self.banks(output.direct))
            found = self.rings[output.direct].find(tensor.name, self._span(tensor, group, rows))
            if found is None:
                raise ProgramError(f"no room is reserved on chip for {tensor.name!r}; reserve it")
            base = found
        if tensor.stored is not None:
            self.add(
                Store(
                    source=source,
                    count=len(rows),
                    raw=int(output.raw),
                    address=tensor.stored.panel_address(panel, rows.start),
                )
            )
        return Emission(
            vectors=len(rows), raw=int(output.raw), relu=int(output.relu),
            stochastic=int(output.stochastic), mask=int(output.mask is not None),
            mask_base=mask_base, dropout=int(output.dropout > 0), threshold=output.dropout,
            tensor=output.identifier, row=rows.start, feature=panel * config.lanes,
            destination=DIRECT[output.direct] if output.direct is not None else Destination.NONE,
            destination_base=base, destination_bank=bank, store=int(tensor.stored is not None),
        )  # fmt: skip

    def program(self) -> Program:
        """Return the commands with the tokens that keep them in order."""
        accesses = [
            accesses_of(command, self.config, reach)
            for command, reach in zip(self.commands, self.reaches, strict=True)
        ]
        return Program.of(insert_tokens(self.commands, accesses), self.config.digest)

    def _span(self, tensor: Tensor, group: int, rows: range) -> range:
        """Rows of a panel group as items of one long sequence of groups."""
        start = group * tensor.rows
        return range(start + rows.start, start + rows.stop)
