# SPDX-License-Identifier: Apache-2.0
"""A whole GCN: its tensors in device memory and the programs of its passes."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array, issparse

from gcnloom.layers import Network
from gcnloom.lower.builder import Builder, Output, Tensor
from gcnloom.lower.matrices import Matrices
from gcnloom.lower.matrix import StoredMatrix
from gcnloom.lower.placement import Tensors
from gcnloom.lower.products import gemm, gemm_transposed, spmm
from gcnloom.lower.work import check_sums, necessary_macs
from gcnloom.programs.program import Program
from gcnloom.tensors.memory import Allocator, TensorLayout
from gcnloom_spec.config import AcceleratorConfig
from gcnloom_spec.isa import Target

__all__ = ["LoweredNetwork", "lower_network"]


@dataclass(frozen=True, kw_only=True, eq=False)
class LoweredNetwork:
    """Programs of one network on one graph and one configuration, and where its tensors lie.

    Attributes
    ----------
    network : Network
    config : AcceleratorConfig
    tensors : dict[str, Tensor]
        By name; those with a layout lie in device memory.
    matrices : tuple of StoredMatrix
    forward, infer, backward : Program
        Training forward pass (drops out, keeps hidden layers), inference, and backward pass.
    features : NDArray[np.int64] or None
        Mantissas of dense features, to be written once.
    necessary_macs, unsampled_macs : dict[str, int]
        By pass: multiplications no exact engine could leave out, sparse ones on non-zeros only,
        of the rows that the pass computes; and of all rows.
    """

    network: Network
    config: AcceleratorConfig
    tensors: dict[str, Tensor]
    matrices: tuple[StoredMatrix, ...]
    forward: Program
    infer: Program
    backward: Program
    features: NDArray[np.int64] | None
    necessary_macs: dict[str, int]
    unsampled_macs: dict[str, int]

    def layout(self, name: str) -> TensorLayout:
        """Layout of a tensor that lies in device memory."""
        return self.tensors[name].layout

    def blobs(self) -> Iterator[tuple[int, bytes]]:
        """Addresses and bytes of everything that is written once: matrices and features."""
        for matrix in self.matrices:
            yield from matrix.blobs(self.config)
        if self.features is not None:
            layout = self.layout("features")
            yield layout.address, layout.pack(self.features)


def lower_network(
    network: Network,
    adjacency: csr_array,
    features: Any,
    config: AcceleratorConfig,
    allocator: Allocator,
    *,
    seen: tuple[int, ...] | None = None,
    sampled: bool = False,
) -> LoweredNetwork:
    """Schedule the graph, place every tensor, and lower the three passes.

    Parameters
    ----------
    network : Network
    adjacency : csr_array of int
        Mantissas of the normalised adjacency, rows are targets.
    features : csr_array of int or NDArray[np.int64]
        Mantissas of the input features; sparse ones run on the sparse engine.
    config : AcceleratorConfig
    allocator : Allocator
        Of the device's memory.
    seen : tuple of int, optional
        How many nodes the loss sees of the input and of each layer: the first so many, see
        :class:`~gcnloom.graphs.receptive.ReceptiveField`. All if left out.
    sampled : bool
        Whether training computes those only. Its bits are the same.
    """
    lowering = _Lowering(network, adjacency, features, config, allocator)
    every = (adjacency.shape[0],) * (network.layers + 1)
    seen = every if seen is None else seen
    return lowering.result(every, seen if sampled else every, seen)


class _Lowering:
    def __init__(
        self,
        network: Network,
        adjacency: csr_array,
        features: Any,
        config: AcceleratorConfig,
        allocator: Allocator,
    ) -> None:
        self.network = network
        self.config = config
        self.sparse_input = issparse(features)
        self.adjacency, self.features = adjacency, features
        check_sums(network, adjacency, features, config)
        self.matrices = Matrices(adjacency, features, config, allocator)
        self.tensors = Tensors(network, config, allocator, self.matrices)

    def result(
        self, every: tuple[int, ...], rows: tuple[int, ...], seen: tuple[int, ...]
    ) -> LoweredNetwork:
        """Lower inference for `every` row of each layer, and training for the first `rows`.

        Those that are `seen` by the loss count in the statistics.
        """
        self.tensors.place(every[0], rows)
        return LoweredNetwork(
            network=self.network, config=self.config, tensors=self.tensors.named,
            forward=self._forward(rows, seen), infer=self._forward(every, None),
            backward=self._backward(rows), matrices=tuple(self.matrices),
            features=None if self.sparse_input else np.asarray(self.features, dtype=np.int64),
            necessary_macs=self._macs(rows) | {"infer": self._macs(every)["infer"]},
            unsampled_macs=self._macs(every),
        )  # fmt: skip

    def _macs(self, rows: tuple[int, ...]) -> dict[str, int]:
        return necessary_macs(self.network, self.adjacency, self.features, rows)

    def _forward(self, rows: tuple[int, ...], seen: tuple[int, ...] | None) -> Program:
        """Lower a forward pass; that of training says what is `seen` by the loss."""
        builder = Builder(self.config)
        for layer in range(1, self.network.layers + 1):
            product = self.tensors.first(f"product{layer}", rows[layer - 1])
            if self.tensors.passes_through(layer, product.rows):
                product = replace(product, stored=None)
            through = Output(
                tensor=product, identifier=self.network.identifier(product.name),
                direct=Target.OPERAND if product.stored is None else None,
                counted=seen[layer - 1] if seen else None,
                outside=self.network.outside(product.name),
            )  # fmt: skip
            adjacency = self.matrices.adjacency(rows[layer], rows[layer - 1])
            output = self._activation(layer, rows[layer], seen)
            for panels in self._times_weights(builder, layer, through):
                for panel in panels:
                    spmm(builder, adjacency, product, output, panel)
        return builder.program()

    def _activation(self, layer: int, rows: int, seen: tuple[int, ...] | None) -> Output:
        if layer == self.network.layers:
            name = "training_logits" if seen else "logits"
            return Output(tensor=self.tensors.named[name], raw=True)
        hidden = self.tensors.first(f"hidden{layer}", rows)
        return Output(
            tensor=hidden, identifier=self.network.identifier(hidden.name), relu=True,
            dropout=self.network.threshold if seen else 0,
            direct=Target.LEFT, counted=seen[layer] if seen else None,
            outside=self.network.outside(hidden.name),
        )  # fmt: skip

    def _times_weights(self, builder: Builder, layer: int, output: Output) -> Iterator[range]:
        """Multiply a layer's input by its weights; yield the panels as they are done."""
        weights, rows = self.tensors.named[f"weights{layer}"], output.tensor.rows
        if layer == 1 and self.sparse_input:
            for panel in range(self._panels(weights)):
                spmm(builder, self.matrices.features(rows), weights, output, panel)
                yield range(panel, panel + 1)
            return
        left = self.tensors.first("features" if layer == 1 else f"hidden{layer - 1}", rows)
        for group, panels in self._groups(weights):
            gemm(builder, left, weights, output, group)
            yield panels

    def _backward(self, rows: tuple[int, ...]) -> Program:
        builder = Builder(self.config)
        last = self.network.layers
        transposed = {
            layer: self.matrices.adjacency_transposed(rows[layer - 1], rows[layer])
            for layer in range(last, 0, -1)
        }
        for panel in range(self._panels(self.tensors.named[f"gradient{last}"])):
            self._spread(builder, transposed[last], last, panel)
        for layer in range(last, 0, -1):
            spread = self.tensors.named[f"aggregate_gradient{layer}"]
            if layer > 1:
                self._pass_back(builder, transposed[layer - 1], layer, spread)
            self._weight_gradient(builder, layer, spread)
        return builder.program()

    def _spread(self, builder: Builder, transposed: StoredMatrix, layer: int, panel: int) -> None:
        """Aggregate one panel of a layer's gradient along the transposed edges."""
        spread = self.tensors.named[f"aggregate_gradient{layer}"]
        output = Output(
            tensor=spread,
            identifier=self.network.identifier(spread.name),
            stochastic=self.network.stochastic,
            direct=Target.LEFT if layer > 1 else None,
        )
        spmm(builder, transposed, self.tensors.named[f"gradient{layer}"], output, panel)

    def _pass_back(
        self, builder: Builder, transposed: StoredMatrix, layer: int, spread: Tensor
    ) -> None:
        """Gradient of the layer below: through the weights, the activation and the edges."""
        gradient = self.tensors.named[f"gradient{layer - 1}"]
        weights = self.tensors.named[f"weights{layer}_transposed"]
        output = Output(
            tensor=gradient, identifier=self.network.identifier(gradient.name),
            mask=self.tensors.first(f"hidden{layer - 1}", gradient.rows),
            stochastic=self.network.stochastic,
            direct=Target.OPERAND if gradient.stored is None else None,
        )  # fmt: skip
        for group, panels in self._groups(weights):
            gemm(builder, spread, weights, output, group)
            for panel in panels:
                self._spread(builder, transposed, layer - 1, panel)

    def _weight_gradient(self, builder: Builder, layer: int, spread: Tensor) -> None:
        output = Output(tensor=self.tensors.named[f"weight_gradient{layer}"], raw=True)
        if layer == 1 and self.sparse_input:
            for panel in range(self._panels(spread)):
                matrix = self.matrices.features_transposed(spread.rows)
                spmm(builder, matrix, spread, output, panel)
            return
        left = self.tensors.first("features" if layer == 1 else f"hidden{layer - 1}", spread.rows)
        for group, _ in self._groups(spread):
            gemm_transposed(builder, left, spread, output, group)

    def _panels(self, tensor: Tensor) -> int:
        return -(-tensor.features // self.config.lanes)

    def _groups(self, tensor: Tensor) -> Iterator[tuple[int, range]]:
        """Panel groups as wide as the array, with their panels."""
        banks, panels = self.config.right_banks, self._panels(tensor)
        for group in range(-(-panels // banks)):
            yield group, range(group * banks, min((group + 1) * banks, panels))
