# SPDX-License-Identifier: Apache-2.0
"""The backward pass of a GCN as a program, each product fed by the one before."""

from collections.abc import Iterable, Iterator
from dataclasses import replace
from functools import partial

from gcnloom.lower.builder import Output, Tensor
from gcnloom.lower.dense import gemm_steps, gemm_transposed, groups, steps_of, tiles
from gcnloom.lower.descent import Descent
from gcnloom.lower.hops import Hop, Made, Pass, PassParts, fitting, make, part_of
from gcnloom.lower.interleave import Step, array_cycles, finished, interleaved
from gcnloom.lower.making import dense_makings
from gcnloom.lower.matrix import StoredMatrix
from gcnloom.lower.sparse import spmm
from gcnloom.lower.stack import Term
from gcnloom.lower.streamed import StreamedGemm
from gcnloom.lower.tiling import batches, operand_room, replayed
from gcnloom.lower.transposing import transpose
from gcnloom.lower.turns import exhaust, there
from gcnloom.programs.program import Program
from gcnloom_spec.isa import Target

__all__ = ["lower_backward"]

HASTE = 0.85
"""Share of the time that the sparse engine takes beside it, in which the array is to be done."""


def lower_backward(parts: PassParts, rows: tuple[int, ...], *, descends: bool = False) -> Program:
    """Lower a backward pass over the first `rows` of each layer.

    Weight gradients are stored; or, where it `descends`, the device updates the weights with
    them, and transposes those it needs so.
    """
    ways = (partial(_Backward, parts, rows, streamed, descends) for streamed in (True, False))
    return fitting(*ways)


class _Backward(Pass):
    def __init__(
        self, parts: PassParts, rows: tuple[int, ...], streamed: bool, descends: bool
    ) -> None:
        super().__init__(parts, rows, streamed)
        self.descends = descends

    def program(self) -> Program:
        last = self.network.layers
        if self.descends:
            named = self.tensors.named
            self.builder.zeros = named.get("zeros")
            for layer in range(2, last + 1):
                self._transpose(layer)
        hops: dict[int, Hop] = {}
        for layer in range(1, last + 1):
            if self.network.aggregates(layer):
                hops[layer] = self._hop(layer, hops.get(layer - 1))
        made: Iterable[Made] = self._top(hops[last]) if last in hops else ()
        for layer in range(last, 1, -1):
            following = None
            if layer in hops:
                following = self._following(layer, hops)
                exhaust(self.spmm(made, hops[layer], self._spread(layer, hops[layer]), following))
            else:
                make(made)
            made = following.outputs() if following else self._dense(layer, hops)
        self._first_layer(made, hops[1])
        return self.builder.program()

    def _transpose(self, layer: int) -> None:
        """Transpose a layer's weights, block by block."""
        named, tensors = self.tensors.named, self.tensors
        for block in range(self.network.blocks(layer)):
            transpose(
                self.builder, named[f"weights{layer}"], named[f"identity{layer}"],
                named[f"weights{layer}_transposed"], first=block * tensors.blocks(layer).pitch,
                target=block * tensors.blocks_back(layer).pitch,
            )  # fmt: skip

    def _top(self, hop: Hop) -> Iterator[Made]:
        """Yield the panels of the logits' gradient, which lies in device memory."""
        gradient = hop.operand.tensor
        for panel in range(self.parts.panels(gradient)):
            yield range(panel, panel + 1), self._there(gradient.rows, hop.matrix)

    def _dense(self, layer: int, hops: dict[int, Hop]) -> Iterator[Made]:
        """Multiply a layer's gradient by its transposed weights."""
        stack, below = self.tensors.stack(layer, self.rows), layer - 1
        terms = stack.passing(self.tensors.blocks_back(layer).pitch) if stack.root else ()
        return dense_makings(
            self.builder, self.tensors.named[self.network.spread(layer)],
            self.tensors.named[f"weights{layer}_transposed"],
            hops[below].operand if below in hops else self._gradient(below), terms=terms,
        )  # fmt: skip

    def _gradient(self, layer: int) -> Output:
        """Say how the gradient of a layer without edges leaves."""
        name = f"gradient{layer}"
        self.tensors.stored(name)
        return self._masked(layer, Output(
            tensor=self.tensors.named[name], identifier=self.network.identifier(name)
        ))  # fmt: skip

    def _masked(self, layer: int, output: Output) -> Output:
        """Let only those elements of a gradient through whose hidden element is above zero."""
        mask = self.tensors.first(f"hidden{layer}", self.rows[layer])
        return replace(output, mask=mask, stochastic=self.network.stochastic)

    def _first_layer(self, made: Iterable[Made], hop: Hop) -> None:
        """Aggregate the first gradient; multiply inputs by gradients, dense ones on the array."""
        spread = self.tensors.named["aggregate_gradient1"]
        output = self._spread(1, hop)
        if not self.matrices.sparse_input:
            exhaust(self.spmm(made, hop, output, None))
            exhaust(self._dense_gradients(1))
            return
        at_once = replayed(self.parts.panels(spread), spread.rows, self.config)
        matrix = self.matrices.features_transposed(
            self.tensors.stack(1, self.rows), panels=at_once, streamed=self.streamed
        )
        leaving = finished(self.spmm(made, hop, output, None))
        sparse = self._sparse_gradient(matrix, spread, at_once, leaving)
        spare = matrix.schedule.length * self.parts.panels(spread)
        pace = max(1.0, HASTE * spare / max(1, self._dense_gradient_cycles()))
        exhaust(interleaved(self.builder, self._dense_gradients(2), sparse, pace))

    def _sparse_gradient(
        self, matrix: StoredMatrix, spread: Tensor, at_once: int, leaving: Iterable[range]
    ) -> Iterator[Step]:
        """Multiply the transposed features by the gradient, the first panels as they come."""
        output = self._weight_gradient(1)
        for panels in batches(self.parts.panels(spread), at_once):
            yield from spmm(self.builder, matrix, spread, output, panels, leaving)
            leaving = self._there(spread.rows, matrix)

    def _hop(self, layer: int, onward: Hop | None) -> Hop:
        """Find the transposed adjacency that takes the gradient of a layer's output."""
        last = layer == self.network.layers
        panels = 1 if last else self.config.right_banks
        stack, name = self.tensors.stack(layer, self.rows), f"gradient{layer}"
        matrix = self.matrices.adjacency_transposed(
            stack, panels=panels, part=0 if stack.root else part_of(onward), streamed=self.streamed
        )
        if last:
            return Hop(matrix=matrix, operand=Output(tensor=self.tensors.named[name]), panels=1)
        operand = self._masked(layer, self.operand(name, stack.own, matrix, panels, 0))
        return Hop(matrix=matrix, operand=operand, panels=panels)

    def _spread(self, layer: int, hop: Hop) -> Output:
        """Say how the gradient leaves that was aggregated along the transposed edges."""
        spread = self.tensors.named[f"aggregate_gradient{layer}"]
        return Output(
            tensor=spread, identifier=self.network.identifier(spread.name),
            stochastic=self.network.stochastic, direct=Target.LEFT if layer > 1 else None,
            grid=hop.matrix.part, root=self.tensors.stack(layer, self.rows).root,
        )  # fmt: skip

    def _weight_gradient(self, layer: int) -> Output:
        """Say how a weight gradient leaves."""
        named, network = self.tensors.named, self.network
        output = Output(tensor=named[f"weight_gradient{layer}"], raw=True)
        if not self.descends:
            return output
        descent = Descent(
            masters=named[f"masters{layer}"].layout, operands=named[f"weights{layer}"].layout,
            tensor=network.identifier(f"weights{layer}"),
            gradient=network.identifier(f"weight_gradient{layer}"), stochastic=True,
            blocks=self.tensors.blocks(layer),
        )  # fmt: skip
        return replace(output, descent=descent)

    def _following(self, layer: int, hops: dict[int, Hop]) -> StreamedGemm | None:
        """Return what makes the gradient of the layer below as it comes, if its sums fit."""
        if layer == 1 or not self.streamed or self.network.rooted(layer):
            return None
        below, spread = layer - 1, self.tensors.named[self.network.spread(layer)]
        output = hops[below].operand if below in hops else self._gradient(below)
        if not self.keeps(spread, hops[layer], output):
            return None
        weights = self.tensors.named[f"weights{layer}_transposed"]
        return StreamedGemm(self.builder, spread, weights, output)

    def _there(self, rows: int, matrix: StoredMatrix) -> Iterable[range]:
        """Yield the parts in which an operand comes from device memory, if not as a whole."""
        if operand_room(rows, self.config) <= self.config.operand_depth:
            return ()
        return there(rows, matrix.columns)

    def _dense_gradient_cycles(self) -> int:
        """Cycles of the array for the weight gradients of all layers but the first."""
        cycles = 0
        for layer in range(2, self.network.layers + 1):
            spread = self.tensors.named[self.network.spread(layer)]
            hidden = self.tensors.named[f"hidden{layer - 1}"].features
            steps = steps_of(hidden, self.config) * len(groups(spread, self.config))
            cycles += array_cycles(spread.rows, self.config) * steps
        return cycles

    def _dense_gradients(self, lowest: int) -> Iterator[range]:
        for layer in range(self.network.layers, lowest - 1, -1):
            spread = self.tensors.named[self.network.spread(layer)]
            output, stack = self._weight_gradient(layer), self.tensors.stack(layer, self.rows)
            name = "features" if layer == 1 else f"hidden{layer - 1}"
            trained = 1 if self.network.identity(layer) else self.network.blocks(layer)
            left = self.tensors.first(name, stack.heard)
            for term in stack.gradients(self.tensors.blocks(layer).pitch)[:trained]:
                for group in groups(spread, self.config):
                    yield from gemm_transposed(self.builder, left, spread, output, group, term)
            if self.descends and self.network.identity(layer):
                yield from self._keep_identity(layer, output)

    def _keep_identity(self, layer: int, output: Output) -> Iterator[range]:
        """Step a block of weights that stays: by zeros, so that its operands keep in scale."""
        pitch, inner = self.tensors.blocks(layer).pitch, self.network.widths[layer - 1]
        zeros = replace(self.tensors.named["zeros"], features=1)
        weights = self.tensors.named[f"weights{layer}"]
        for group in groups(weights, self.config):
            for rows in tiles(range(pitch, pitch + inner), self.config.rows):
                term = Term(rows=rows, shift=-rows.start)
                yield from finished(
                    gemm_steps(self.builder, zeros, weights, output, group, [rows], terms=[term])
                )
