# SPDX-License-Identifier: Apache-2.0
"""The forward pass of a GCN as a program, each product fed by the one before."""

from collections.abc import Iterable, Iterator
from dataclasses import replace
from functools import partial
from itertools import chain

from gcnloom.lower.builder import Output
from gcnloom.lower.hops import Hop, Made, Pass, PassParts, fitting, make, part_of
from gcnloom.lower.interleave import Step, finished
from gcnloom.lower.making import Handover, dense_makings, shared_makings
from gcnloom.lower.mixture import Load, block_rows, deal
from gcnloom.lower.sparse import spmm
from gcnloom.lower.streamed import StreamedGemm
from gcnloom.lower.tiling import batches, operand_room, replayed
from gcnloom.lower.turns import exhaust
from gcnloom.programs.program import Program
from gcnloom_spec.isa import Target

__all__ = ["lower_forward"]


def lower_forward(parts: PassParts, rows: tuple[int, ...], seen: tuple[int, ...] | None) -> Program:
    """Lower a forward pass over the first `rows` of each layer.

    That of training says what is `seen` by the loss: the rest leaves no trace in the statistics.
    """
    ways = ((True, True), (True, False), (False, False))
    return fitting(*(partial(_Forward, parts, rows, seen, *way) for way in ways))


class _Forward(Pass):
    def __init__(
        self,
        parts: PassParts,
        rows: tuple[int, ...],
        seen: tuple[int, ...] | None,
        streamed: bool,
        holding: bool,
    ) -> None:
        super().__init__(parts, rows, streamed)
        self.seen = seen
        self.holding = holding

    def program(self) -> Program:
        last = self.network.layers
        hops: dict[int, Hop] = {}
        for layer in range(last, 0, -1):
            if self.network.aggregates(layer):
                hops[layer] = self._hop(layer, hops.get(layer + 1))
        made = self._sparse_input(hops[1]) if self.matrices.sparse_input else self._dense(1, hops)
        leaving: Iterator[Step] = iter(())
        for layer in sorted(hops):
            following = self._following(layer, hops)
            output = self._activation(layer, hops)
            hold = layer == 1 and self._holds(hops[1])
            leaving = self.spmm(made, hops[layer], output, following, leaving, hold=hold)
            if layer < last and not following and self._overlaps(layer + 1, hops):
                handover = Handover(leaving, self.rows[layer])
                made = self._dense(layer + 1, hops, handover.spans())
                leaving = handover.leaving()
                continue
            exhaust(leaving)
            if layer < last:
                made = following.outputs() if following else self._dense(layer + 1, hops)
            if layer < last and layer + 1 not in hops:
                make(made)
                if layer + 1 < last:
                    made = self._dense(layer + 2, hops)
        return self.builder.program()

    def _overlaps(self, layer: int, hops: dict[int, Hop]) -> bool:
        """Whether a layer's product may begin while the results of the layer before it leave."""
        return layer in hops and self.pipelines(hops[layer], self._following(layer, hops))

    def _hop(self, layer: int, onward: Hop | None) -> Hop:
        """Find the adjacency that takes the product of a layer's input and weights."""
        sparse = layer == 1 and self.matrices.sparse_input
        stack = self.tensors.stack(layer, self.rows)
        shared = layer == 1 and self.parts.mixture and not sparse and not stack.root
        load = self._load() if shared else None
        weights = self.tensors.named["weights1"]
        beside = weights.rows if sparse else self.matrices.inputs if load else 0
        panels = self.config.right_banks
        if sparse:
            panels = replayed(self.parts.panels(weights), weights.rows, self.config)
        name = f"product{layer}"
        matrix = self.matrices.adjacency(
            stack, panels=panels, beside=beside, part=part_of(onward), streamed=self.streamed
        )
        seen = self.seen
        operand = replace(
            self.operand(name, stack.rows, matrix, panels, beside),
            counted=seen[layer - 1] if seen else None, outside=self.network.outside(name),
            root=stack.root, root_counted=seen[layer] if seen and stack.root else None,
        )  # fmt: skip
        return Hop(matrix=matrix, operand=operand, panels=panels, load=load)

    def _holds(self, hop: Hop) -> bool:
        """Whether sparse features times weights stay on chip as a whole, beside the weights.

        The sparse engine makes them itself, so that it loses nothing if it uses the last panels
        only when they are all there; but their results leave as they come, not all at the end.
        """
        room = operand_room(hop.operand.tensor.rows, self.config)
        room += operand_room(self.tensors.named["weights1"].rows, self.config)
        fits = room * hop.panels <= self.config.operand_depth
        return self.holding and self.matrices.sparse_input and fits

    def _load(self) -> Load | None:
        """Load of the first product if sharing it is worth it."""
        rows, columns = self.rows[1], self.rows[0]
        load = Load.of(
            self.matrices.dense_features(columns), self.matrices.edges(rows, columns), self.config
        )
        return load if load.gains else None

    def _activation(self, layer: int, hops: dict[int, Hop]) -> Output:
        rows = self.rows[layer]
        if layer == self.network.layers:
            name = "training_logits" if self.seen else "logits"
            return Output(tensor=self.tensors.named[name], raw=True)
        hidden = self.tensors.first(f"hidden{layer}", rows)
        return Output(
            tensor=hidden, identifier=self.network.identifier(hidden.name), relu=True,
            dropout=self.network.threshold if self.seen else 0,
            direct=Target.LEFT if layer in hops else None,
            grid=hops[layer].matrix.part if layer in hops else 0,
            counted=self.seen[layer] if self.seen else None,
            outside=self.network.outside(hidden.name),
        )  # fmt: skip

    def _sparse_input(self, hop: Hop) -> Iterator[Made]:
        """Multiply sparse features by weights, some panels at a time."""
        weights, stack = self.tensors.named["weights1"], self.tensors.stack(1, self.rows)
        part = hop.matrix.columns if hop.matrix.streamed else 0
        features = self.matrices.features(stack, panels=hop.panels, part=part)
        for panels in batches(self.parts.panels(weights), hop.panels):
            yield panels, finished(spmm(self.builder, features, weights, hop.operand, panels))

    def _dense(
        self, layer: int, hops: dict[int, Hop], first: Iterable[Step] | None = None
    ) -> Iterator[Made]:
        """Multiply a layer's input, as it is on chip or in device memory, by its weights.

        It comes in the spans of rows `first`, if it does not lie there yet.
        """
        stack, weights = self.tensors.stack(layer, self.rows), self.tensors.named[f"weights{layer}"]
        name = "features" if layer == 1 else f"hidden{layer - 1}"
        left = self.tensors.first(name, stack.heard)
        if layer not in hops:
            output = self._activation(layer, hops)
            return dense_makings(self.builder, left, weights, output, first)
        output, load = hops[layer].operand, hops[layer].load
        if load is None:
            terms = stack.making(self.tensors.blocks(layer).pitch) if stack.root else ()
            if first is not None and terms:
                first = chain(first, [terms[1].rows])
            return dense_makings(self.builder, left, weights, output, first, terms)
        streamed = hops[layer].matrix.streamed
        part = output.grid or block_rows(left.rows, hops[layer].panels, self.config)
        # Beside the first group of panels there is no other to be multiplied, unless they stream.
        loads = (load if streamed else load.alone(), load)
        shares = (deal(left.rows, part, each.share, in_turn=streamed) for each in loads)
        return shared_makings(self.builder, self.matrices, left, weights, output, part, *shares)

    def _following(self, layer: int, hops: dict[int, Hop]) -> StreamedGemm | None:
        """Return the product that takes a layer's output as it is made, if its sums fit on chip."""
        if layer == self.network.layers or not self.streamed or self.network.rooted(layer + 1):
            return None
        plain = layer + 1 not in hops
        output = self._activation(layer + 1, hops) if plain else hops[layer + 1].operand
        left = self.tensors.first(f"hidden{layer}", self.rows[layer])
        if not self.keeps(left, hops[layer], output):
            return None
        weights = self.tensors.named[f"weights{layer + 1}"]
        return StreamedGemm(self.builder, left, weights, output)
