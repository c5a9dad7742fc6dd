# SPDX-License-Identifier: Apache-2.0
"""The backward pass of a GCN as a program, each product fed by the one before."""

from collections.abc import Iterable, Iterator
from dataclasses import replace
from functools import partial

from gcnloom.lower.builder import Output, Tensor
from gcnloom.lower.dense import StreamedGemm, gemm_transposed, groups, steps_of
from gcnloom.lower.descent import Descent
from gcnloom.lower.hops import Hop, Made, Pass, PassParts, fitting, part_of
from gcnloom.lower.interleave import Step, array_cycles, finished, interleaved
from gcnloom.lower.making import dense_makings
from gcnloom.lower.matrix import StoredMatrix
from gcnloom.lower.sparse import spmm
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
                weights, identity = named[f"weights{layer}"], named[f"identity{layer}"]
                transpose(self.builder, weights, identity, named[f"weights{layer}_transposed"])
        hops: dict[int, Hop] = {}
        for layer in range(1, last + 1):
            hops[layer] = self._hop(layer, hops.get(layer - 1))
        gradient = hops[last].operand.tensor
        made: Iterable[Made] = [
            (range(panel, panel + 1), self._there(gradient.rows, hops[last].matrix))
            for panel in range(self.parts.panels(gradient))
        ]
        for layer in range(last, 1, -1):
            following = self._following(layer, hops)
            exhaust(self.spmm(made, hops[layer], self._spread(layer, hops[layer]), following))
            spread = self.tensors.named[f"aggregate_gradient{layer}"]
            weights = self.tensors.named[f"weights{layer}_transposed"]
            output = hops[layer - 1].operand
            made = (
                following.outputs()
                if following
                else dense_makings(self.builder, spread, weights, output)
            )
        self._first_layer(made, hops[1])
        return self.builder.program()

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
            spread.rows, panels=at_once, streamed=self.streamed
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
        rows, name = self.rows[layer], f"gradient{layer}"
        matrix = self.matrices.adjacency_transposed(
            self.rows[layer - 1], rows, panels=panels, part=part_of(onward), streamed=self.streamed
        )  # fmt: skip
        if last:
            return Hop(matrix=matrix, operand=Output(tensor=self.tensors.named[name]), panels=1)
        operand = replace(
            self.operand(name, rows, matrix, panels, 0),
            mask=self.tensors.first(f"hidden{layer}", rows), stochastic=self.network.stochastic,
        )  # fmt: skip
        return Hop(matrix=matrix, operand=operand, panels=panels)

    def _spread(self, layer: int, hop: Hop) -> Output:
        """Say how the gradient leaves that was aggregated along the transposed edges."""
        spread = self.tensors.named[f"aggregate_gradient{layer}"]
        return Output(
            tensor=spread, identifier=self.network.identifier(spread.name),
            stochastic=self.network.stochastic, direct=Target.LEFT if layer > 1 else None,
            grid=hop.matrix.part,
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
        )  # fmt: skip
        return replace(output, descent=descent)

    def _following(self, layer: int, hops: dict[int, Hop]) -> StreamedGemm | None:
        """Return what makes the gradient of the layer below as it comes, if its sums fit."""
        if layer == 1 or not self.streamed:
            return None
        output, spread = hops[layer - 1].operand, self.tensors.named[f"aggregate_gradient{layer}"]
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
            spread = self.tensors.named[f"aggregate_gradient{layer}"]
            hidden = self.tensors.named[f"hidden{layer - 1}"].features
            steps = steps_of(hidden, self.config) * len(groups(spread, self.config))
            cycles += array_cycles(spread.rows, self.config) * steps
        return cycles

    def _dense_gradients(self, lowest: int) -> Iterator[range]:
        for layer in range(self.network.layers, lowest - 1, -1):
            spread = self.tensors.named[f"aggregate_gradient{layer}"]
            output = self._weight_gradient(layer)
            name = "features" if layer == 1 else f"hidden{layer - 1}"
            left = self.tensors.first(name, spread.rows)
            for group in groups(spread, self.config):
                yield from gemm_transposed(self.builder, left, spread, output, group)
