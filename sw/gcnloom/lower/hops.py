# SPDX-License-Identifier: Apache-2.0
"""Sparse products of a pass, each fed by the product before it."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace

from gcnloom.layers import Network
from gcnloom.lower.buffers import NoRoomError
from gcnloom.lower.builder import Builder, Output, Tensor
from gcnloom.lower.interleave import Step, finished
from gcnloom.lower.making import Making
from gcnloom.lower.matrices import Matrices
from gcnloom.lower.matrix import StoredMatrix
from gcnloom.lower.mixture import Load
from gcnloom.lower.placement import Tensors
from gcnloom.lower.sparse import spmm
from gcnloom.lower.streamed import StreamedGemm
from gcnloom.lower.tiling import operand_room
from gcnloom.lower.turns import exhaust, in_turn
from gcnloom.programs.program import Program
from gcnloom_spec.config import AcceleratorConfig
from gcnloom_spec.isa import Target

__all__ = ["Hop", "Made", "Pass", "PassParts", "fitting", "make", "part_of"]

Made = Making | tuple[range, Iterable[range]]
"""Panels of a product, and what emits the commands that make them and yields their rows."""


@dataclass(frozen=True, kw_only=True)
class PassParts:
    """What the passes of one network are made of, and whether the units are to take turns.

    With `mixture` both engines share products of dense features where that is faster.
    """

    network: Network
    config: AcceleratorConfig
    matrices: Matrices
    tensors: Tensors
    serial: bool = False
    mixture: bool = True

    def panels(self, tensor: Tensor) -> int:
        """Panels of a tensor."""
        return -(-tensor.features // self.config.lanes)


@dataclass(frozen=True, kw_only=True)
class Hop:
    """A sparse product and how its operand comes to it."""

    matrix: StoredMatrix
    operand: Output
    panels: int
    load: Load | None = None
    """Of the dense product before it, where both engines share that."""


def part_of(onward: Hop | None) -> int:
    """Rows of a part if the next product takes its operand in parts, else 0.

    One with a root term is made of results that have all left.
    """
    in_parts = onward and onward.matrix.streamed and not onward.operand.root
    return onward.matrix.columns if onward and in_parts else 0


def make(made: Iterable[Made]) -> None:
    """Emit all commands of a product that no sparse product follows."""
    for group in made:
        exhaust(group.rows() if isinstance(group, Making) else group[1])


class Pass(ABC):
    """What a forward and a backward pass have in common.

    Parameters
    ----------
    parts : PassParts
    rows : tuple of int
        How many nodes count of the input and of each layer: the first so many.
    streamed : bool
        Let products stream into each other where they can.
    """

    def __init__(self, parts: PassParts, rows: tuple[int, ...], streamed: bool) -> None:
        self.parts, self.rows, self.streamed = parts, rows, streamed
        self.network, self.config = parts.network, parts.config
        self.tensors, self.matrices = parts.tensors, parts.matrices
        self.builder = Builder(parts.config, serial=parts.serial)

    def operand(self, name: str, rows: int, hop: StoredMatrix, panels: int, beside: int) -> Output:
        """Say how a product leaves that a matrix is multiplied by next.

        It goes on chip in parts if the matrix takes it so, or as a whole if it fits; else to
        device memory.
        """
        identifier = self.network.identifier(name)
        room = (operand_room(rows, self.config) + operand_room(beside, self.config)) * panels
        if not hop.streamed and room > self.config.operand_depth:
            self.tensors.stored(name)
            return Output(tensor=self.tensors.first(name, rows), identifier=identifier)
        tensor = replace(self.tensors.named[name], rows=rows, stored=None)
        grid = hop.columns if hop.streamed else 0
        return Output(tensor=tensor, identifier=identifier, direct=Target.OPERAND, grid=grid)

    def keeps(self, left: Tensor, hop: Hop, output: Output) -> bool:
        """Whether the array can keep sums of what follows a hop while it makes the next panels."""
        beside = hop.matrix.columns if hop.matrix.streamed else 0
        features = output.tensor.features
        return StreamedGemm.fits(left, hop.panels, features, self.config, beside)

    def spmm(
        self, made: Iterable[Made], hop: Hop, output: Output, following: StreamedGemm | None,
        leaving: Iterator[Step] | None = None, *, hold: bool = False,
    ) -> Iterator[Step]:  # fmt: skip
        """Multiply each group of panels as it is made; feed what follows.

        Where the matrix is streamed the results of one group leave while the next group is made;
        where a dense product lies in device memory the next one is made while it is multiplied.
        With `hold` the groups after the first are multiplied when they are there as a whole.
        Returns what emits the results of the last. At first, that of an earlier product may still
        be `leaving`.
        """
        builder, operand = self.builder, hop.operand.tensor
        leaving = iter(()) if leaving is None else leaving
        for group in made:
            if isinstance(group, Making):
                if self.pipelines(hop, following):
                    group.beside(leaving)
                    behind = replace(output, direct=None)  # Nobody is to wait for it on chip.
                    leaving = spmm(builder, hop.matrix, operand, behind, group.panels)
                    continue
                group = group.panels, group.rows()
            panels, upstream = group
            before = finished(leaving)
            beside = in_turn(upstream, before, finish=not hop.matrix.streamed)
            if panels.start and hold:
                exhaust(beside)
            done = finished(spmm(builder, hop.matrix, operand, output, panels, beside))
            done = in_turn(done, before)
            leaving = following.feed(panels, done) if following else done
            if hop.matrix.streamed:
                next(leaving, None)
            else:
                exhaust(leaving)
        return leaving

    def pipelines(self, hop: Hop, following: StreamedGemm | None) -> bool:
        """Whether the next group of panels is made while one is multiplied in row blocks."""
        return not hop.matrix.streamed and hop.operand.tensor.stored is not None and not following

    @abstractmethod
    def program(self) -> Program:
        """Lower the pass."""


def fitting(*ways: Callable[[], Pass]) -> Program:
    """Lower a pass in the first way for which memory is not short."""
    *better, last = ways
    for way in better:
        try:
            return way().program()
        except NoRoomError:
            continue
    return last().program()
