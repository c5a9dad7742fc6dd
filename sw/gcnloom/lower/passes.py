# SPDX-License-Identifier: Apache-2.0
"""The forward and the backward pass of a GCN as programs, each product fed by the one before."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace

from gcnloom.lower.buffers import NoRoomError
from gcnloom.lower.builder import Builder, Output, Tensor
from gcnloom.lower.dense import StreamedGemm, gemm, gemm_transposed, group_panels, groups
from gcnloom.lower.hops import Hop, Made, PassParts, part_of
from gcnloom.lower.matrix import StoredMatrix
from gcnloom.lower.sparse import spmm
from gcnloom.lower.tiling import batches, operand_room, replayed
from gcnloom.lower.turns import exhaust, in_turn, there
from gcnloom.programs.program import Program
from gcnloom_spec.isa import Target

__all__ = ["PassParts", "lower_backward", "lower_forward"]


def lower_forward(parts: PassParts, rows: tuple[int, ...], seen: tuple[int, ...] | None) -> Program:
    """Lower a forward pass over the first `rows` of each layer.

    That of training says what is `seen` by the loss: the rest leaves no trace in the statistics.
    """
    return _fitting(lambda streamed: _Forward(parts, rows, seen, streamed).program())


def lower_backward(parts: PassParts, rows: tuple[int, ...]) -> Program:
    """Lower a backward pass over the first `rows` of each layer."""
    return _fitting(lambda streamed: _Backward(parts, rows, streamed).program())


def _fitting(lower: Callable[[bool], Program]) -> Program:
    """Lower a pass whose products stream into each other, or come in turn if memory is short."""
    try:
        return lower(True)
    except NoRoomError:
        return lower(False)


class _Pass:
    def __init__(self, parts: PassParts, rows: tuple[int, ...], streamed: bool) -> None:
        self.parts, self.rows, self.streamed = parts, rows, streamed
        self.network, self.config = parts.network, parts.config
        self.tensors, self.matrices = parts.tensors, parts.matrices
        self.builder = Builder(parts.config, serial=parts.serial)

    def _operand(self, name: str, rows: int, hop: StoredMatrix, panels: int, beside: int) -> Output:
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

    def _gemm(self, left: Tensor, weights: Tensor, output: Output) -> Iterator[Made]:
        for group in groups(output.tensor, self.config):
            panels = group_panels(output.tensor, group, self.config)
            yield panels, gemm(self.builder, left, weights, output, group, output.grid)

    def _keeps(self, left: Tensor, hop: Hop, output: Output) -> bool:
        """Whether the array can keep sums of what follows a hop while it makes the next panels."""
        beside = hop.matrix.columns if hop.matrix.streamed else 0
        features = output.tensor.features
        return StreamedGemm.fits(left, hop.panels, features, self.config, beside)

    def _spmm(
        self, made: Iterable[Made], hop: Hop, output: Output, following: StreamedGemm | None
    ) -> Iterator[range]:
        """Multiply each group of panels as it is made; feed what follows.

        Where the matrix is streamed the results of one group leave while the next group is made;
        returns what emits those of the last.
        """
        leaving: Iterator[range] = iter(())
        for panels, upstream in made:
            operand = hop.operand.tensor
            beside = in_turn(upstream, leaving)
            done = spmm(self.builder, hop.matrix, operand, output, panels, beside)
            leaving = following.feed(panels, done) if following else done
            if hop.matrix.streamed:
                next(leaving, None)
            else:
                exhaust(leaving)
        return leaving


class _Forward(_Pass):
    def __init__(
        self,
        parts: PassParts,
        rows: tuple[int, ...],
        seen: tuple[int, ...] | None,
        streamed: bool,
    ) -> None:
        super().__init__(parts, rows, streamed)
        self.seen = seen

    def program(self) -> Program:
        last = self.network.layers
        hops: dict[int, Hop] = {}
        for layer in range(last, 0, -1):
            hops[layer] = self._hop(layer, hops.get(layer + 1))
        made = self._sparse_input(hops[1]) if self.matrices.sparse_input else self._dense(1, hops)
        for layer in range(1, last + 1):
            following = self._following(layer, hops)
            output = self._activation(layer, hops)
            exhaust(self._spmm(made, hops[layer], output, following))
            if layer < last:
                made = following.outputs() if following else self._dense(layer + 1, hops)
        return self.builder.program()

    def _hop(self, layer: int, onward: Hop | None) -> Hop:
        """Find the adjacency that takes the product of a layer's input and weights."""
        sparse = layer == 1 and self.matrices.sparse_input
        beside = self.matrices.inputs if sparse else 0
        weights = self.tensors.named["weights1"]
        panels = self.config.right_banks
        if sparse:
            panels = replayed(self.parts.panels(weights), weights.rows, self.config)
        columns, name = self.rows[layer - 1], f"product{layer}"
        matrix = self.matrices.adjacency(
            self.rows[layer], columns, panels=panels, beside=beside, part=part_of(onward),
            streamed=self.streamed,
        )  # fmt: skip
        operand = replace(
            self._operand(name, columns, matrix, panels, beside),
            counted=self.seen[layer - 1] if self.seen else None,
            outside=self.network.outside(name),
        )
        return Hop(matrix=matrix, operand=operand, panels=panels)

    def _activation(self, layer: int, hops: dict[int, Hop]) -> Output:
        rows = self.rows[layer]
        if layer == self.network.layers:
            name = "training_logits" if self.seen else "logits"
            return Output(tensor=self.tensors.named[name], raw=True)
        hidden = self.tensors.first(f"hidden{layer}", rows)
        return Output(
            tensor=hidden, identifier=self.network.identifier(hidden.name), relu=True,
            dropout=self.network.threshold if self.seen else 0,
            direct=Target.LEFT, grid=hops[layer].matrix.part,
            counted=self.seen[layer] if self.seen else None,
            outside=self.network.outside(hidden.name),
        )  # fmt: skip

    def _sparse_input(self, hop: Hop) -> Iterator[Made]:
        """Multiply sparse features by weights, some panels at a time."""
        weights, rows = self.tensors.named["weights1"], hop.operand.tensor.rows
        part = hop.matrix.columns if hop.matrix.streamed else 0
        features = self.matrices.features(rows, panels=hop.panels, part=part)
        for panels in batches(self.parts.panels(weights), hop.panels):
            yield panels, spmm(self.builder, features, weights, hop.operand, panels)

    def _dense(self, layer: int, hops: dict[int, Hop]) -> Iterator[Made]:
        """Multiply a layer's input, as it is on chip or in device memory, by its weights."""
        output = hops[layer].operand
        name = "features" if layer == 1 else f"hidden{layer - 1}"
        left = self.tensors.first(name, output.tensor.rows)
        return self._gemm(left, self.tensors.named[f"weights{layer}"], output)

    def _following(self, layer: int, hops: dict[int, Hop]) -> StreamedGemm | None:
        """Return the product that takes a layer's output as it is made, if its sums fit on chip."""
        if layer == self.network.layers or not self.streamed:
            return None
        output = hops[layer + 1].operand
        left = self.tensors.first(f"hidden{layer}", self.rows[layer])
        if not self._keeps(left, hops[layer], output):
            return None
        weights = self.tensors.named[f"weights{layer + 1}"]
        return StreamedGemm(self.builder, left, weights, output)


class _Backward(_Pass):
    def program(self) -> Program:
        last = self.network.layers
        hops: dict[int, Hop] = {}
        for layer in range(1, last + 1):
            hops[layer] = self._hop(layer, hops.get(layer - 1))
        gradient = hops[last].operand.tensor
        made: Iterable[Made] = [
            (range(panel, panel + 1), there(gradient.rows, hops[last].matrix.columns))
            for panel in range(self.parts.panels(gradient))
        ]
        for layer in range(last, 0, -1):
            following = self._following(layer, hops)
            leaving = self._spmm(made, hops[layer], self._spread(layer, hops), following)
            if layer > 1:
                exhaust(leaving)
                spread = self.tensors.named[f"aggregate_gradient{layer}"]
                weights = self.tensors.named[f"weights{layer}_transposed"]
                output = hops[layer - 1].operand
                made = following.outputs() if following else self._gemm(spread, weights, output)
        self._weight_gradients(leaving)
        return self.builder.program()

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
            self._operand(name, rows, matrix, panels, 0),
            mask=self.tensors.first(f"hidden{layer}", rows), stochastic=self.network.stochastic,
        )  # fmt: skip
        return Hop(matrix=matrix, operand=operand, panels=panels)

    def _spread(self, layer: int, hops: dict[int, Hop]) -> Output:
        """Say how the gradient leaves that was aggregated along the transposed edges."""
        spread = self.tensors.named[f"aggregate_gradient{layer}"]
        return Output(
            tensor=spread, identifier=self.network.identifier(spread.name),
            stochastic=self.network.stochastic, direct=Target.LEFT if layer > 1 else None,
            grid=hops[layer].matrix.part,
        )  # fmt: skip

    def _following(self, layer: int, hops: dict[int, Hop]) -> StreamedGemm | None:
        """Return what makes the gradient of the layer below as it comes, if its sums fit."""
        if layer == 1 or not self.streamed:
            return None
        output, spread = hops[layer - 1].operand, self.tensors.named[f"aggregate_gradient{layer}"]
        if not self._keeps(spread, hops[layer], output):
            return None
        weights = self.tensors.named[f"weights{layer}_transposed"]
        return StreamedGemm(self.builder, spread, weights, output)

    def _weight_gradients(self, leaving: Iterator[range]) -> None:
        """Let those of dense inputs run on the array beside that of sparse features.

        `leaving` emits what they all are multiplied by.
        """
        spread = self.tensors.named["aggregate_gradient1"]
        first = Output(tensor=self.tensors.named["weight_gradient1"], raw=True)
        if not self.matrices.sparse_input:
            exhaust(leaving)
            exhaust(self._dense_gradients(1))
            return
        at_once = replayed(self.parts.panels(spread), spread.rows, self.config)
        matrix = self.matrices.features_transposed(
            spread.rows, panels=at_once, streamed=self.streamed
        )
        beside = self._dense_gradients(2)
        upstream = in_turn(leaving, beside, finish=False)
        for panels in batches(self.parts.panels(spread), at_once):
            leaving = spmm(self.builder, matrix, spread, first, panels, upstream)
            next(leaving, None)
            making = in_turn(there(spread.rows, matrix.columns), beside, finish=False)
            upstream = in_turn(making, leaving)
        exhaust(leaving)
        exhaust(beside)

    def _dense_gradients(self, lowest: int) -> Iterator[range]:
        for layer in range(self.network.layers, lowest - 1, -1):
            spread = self.tensors.named[f"aggregate_gradient{layer}"]
            output = Output(tensor=self.tensors.named[f"weight_gradient{layer}"], raw=True)
            name = "features" if layer == 1 else f"hidden{layer - 1}"
            left = self.tensors.first(name, spread.rows)
            for group in groups(spread, self.config):
                yield from gemm_transposed(self.builder, left, spread, output, group)
