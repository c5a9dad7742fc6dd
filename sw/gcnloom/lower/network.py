# SPDX-License-Identifier: Apache-2.0
"""A whole GCN: its tensors in device memory and the programs of its passes."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array, issparse

from gcnloom.layers import Network
from gcnloom.lower.builder import Builder, Output, Tensor
from gcnloom.lower.matrix import StoredMatrix, place_matrix
from gcnloom.lower.products import (
    column_limit,
    gemm,
    gemm_transposed,
    padded_inner,
    row_limit,
    spmm,
)
from gcnloom.lower.work import check_sums, necessary_macs
from gcnloom.programs.program import Program
from gcnloom.scheduling.schedule import schedule
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
    necessary_macs : dict[str, int]
        By pass: multiplications no exact engine could leave out, sparse ones on non-zeros only.
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
    """
    return _Lowering(network, adjacency, features, config, allocator).result()


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
        self.allocator = allocator
        self.sparse_input = issparse(features)
        self.features = features
        self.nodes = adjacency.shape[0]
        self.necessary_macs = necessary_macs(network, adjacency, features)
        check_sums(network, adjacency, features, config)
        self.matrices: dict[str, StoredMatrix] = {}
        self.tensors: dict[str, Tensor] = {}
        self._matrix("adjacency", adjacency)
        transposed = csr_array(adjacency.T)
        if abs(adjacency - transposed).nnz:
            self._matrix("adjacency_transposed", transposed)
        if self.sparse_input:
            self._matrix("features", features)
            self._matrix("features_transposed", csr_array(features.T))
        self._place_tensors()

    def _matrix(self, name: str, matrix: csr_array) -> None:
        scheduled = schedule(
            matrix, self.config, max_rows=row_limit(self.config),
            max_columns=column_limit(matrix.shape[1], self.config),
        )  # fmt: skip
        self.matrices[name] = place_matrix(name, scheduled, self.allocator, self.config)

    def _place_tensors(self) -> None:
        network, config = self.network, self.config
        if not self.sparse_input:
            self._place("features", self.nodes, network.widths[0])
        for layer in range(1, network.layers + 1):
            inner, outer = network.widths[layer - 1], network.widths[layer]
            sparse = layer == 1 and self.sparse_input
            self._place(f"weights{layer}", inner if sparse else padded_inner(inner, config), outer)
            if layer > 1:
                self._place(f"weights{layer}_transposed", padded_inner(outer, config), inner)
            # Operands pass from engine to engine where the panels made together fit on chip.
            # What the sparse engine makes must not be displaced by its own next row block.
            fits = self.nodes * config.right_banks <= config.operand_depth
            whole = not sparse or len(self.matrices["features"].schedule.blocks) == 1
            self._place(f"product{layer}", self.nodes, outer, stored=not (fits and whole))
            self._place(f"aggregate_gradient{layer}", self.nodes, outer)
            self._place(
                f"weight_gradient{layer}", inner if sparse else padded_inner(inner, config), outer,
                kind="sums", block=None if sparse else config.rows,
            )  # fmt: skip
            if layer < network.layers:
                self._place(f"hidden{layer}", self.nodes, outer)
                self._place(f"gradient{layer}", self.nodes, outer, stored=not fits)
        self._place("logits", self.nodes, network.widths[-1], kind="sums")
        self._place(f"gradient{network.layers}", self.nodes, network.widths[-1])

    def _place(
        self, name: str, rows: int, columns: int, *, kind: str = "operand",
        block: int | None = None, stored: bool = True,
    ) -> None:  # fmt: skip
        layout = None
        if stored:
            layout = TensorLayout(
                config=self.config, rows=rows, features=columns, kind=kind, block=block
            )
            layout = layout.at(self.allocator.allocate(name, layout.words))
        self.tensors[name] = Tensor(name=name, rows=rows, features=columns, stored=layout)

    def result(self) -> LoweredNetwork:
        return LoweredNetwork(
            network=self.network, config=self.config, tensors=self.tensors,
            matrices=tuple(self.matrices.values()),
            forward=self._forward(training=True), infer=self._forward(training=False),
            backward=self._backward(),
            features=None if self.sparse_input else np.asarray(self.features, dtype=np.int64),
            necessary_macs=self.necessary_macs,
        )  # fmt: skip

    def _forward(self, *, training: bool) -> Program:
        builder = Builder(self.config)
        adjacency = self.matrices["adjacency"]
        for layer in range(1, self.network.layers + 1):
            product = self.tensors[f"product{layer}"]
            through = Output(
                tensor=product, identifier=self.network.identifier(product.name),
                direct=Target.OPERAND if product.stored is None else None,
            )  # fmt: skip
            output = self._activation(layer, training)
            for panels in self._times_weights(builder, layer, through):
                for panel in panels:
                    spmm(builder, adjacency, product, output, panel)
        return builder.program()

    def _activation(self, layer: int, training: bool) -> Output:
        if layer == self.network.layers:
            return Output(tensor=self.tensors["logits"], raw=True)
        hidden = self.tensors[f"hidden{layer}"]
        return Output(
            tensor=hidden, identifier=self.network.identifier(hidden.name), relu=True,
            dropout=self.network.threshold if training else 0,
            direct=Target.LEFT,
        )  # fmt: skip

    def _times_weights(self, builder: Builder, layer: int, output: Output) -> Iterator[range]:
        """Multiply a layer's input by its weights; yield the panels as they are done."""
        weights = self.tensors[f"weights{layer}"]
        if layer == 1 and self.sparse_input:
            for panel in range(self._panels(weights)):
                spmm(builder, self.matrices["features"], weights, output, panel)
                yield range(panel, panel + 1)
            return
        left = self.tensors["features" if layer == 1 else f"hidden{layer - 1}"]
        for group, panels in self._groups(weights):
            gemm(builder, left, weights, output, group)
            yield panels

    def _backward(self) -> Program:
        builder = Builder(self.config)
        transposed = self.matrices.get("adjacency_transposed", self.matrices["adjacency"])
        last = self.network.layers
        for panel in range(self._panels(self.tensors[f"gradient{last}"])):
            self._spread(builder, transposed, last, panel)
        for layer in range(last, 0, -1):
            spread = self.tensors[f"aggregate_gradient{layer}"]
            if layer > 1:
                self._pass_back(builder, transposed, layer, spread)
            self._weight_gradient(builder, layer, spread)
        return builder.program()

    def _spread(self, builder: Builder, transposed: StoredMatrix, layer: int, panel: int) -> None:
        """Aggregate one panel of a layer's gradient along the transposed edges."""
        spread = self.tensors[f"aggregate_gradient{layer}"]
        output = Output(
            tensor=spread,
            identifier=self.network.identifier(spread.name),
            stochastic=self.network.stochastic,
            direct=Target.LEFT if layer > 1 else None,
        )
        spmm(builder, transposed, self.tensors[f"gradient{layer}"], output, panel)

    def _pass_back(
        self, builder: Builder, transposed: StoredMatrix, layer: int, spread: Tensor
    ) -> None:
        """Gradient of the layer below: through the weights, the activation and the edges."""
        gradient = self.tensors[f"gradient{layer - 1}"]
        weights = self.tensors[f"weights{layer}_transposed"]
        output = Output(
            tensor=gradient, identifier=self.network.identifier(gradient.name),
            mask=self.tensors[f"hidden{layer - 1}"], stochastic=self.network.stochastic,
            direct=Target.OPERAND if gradient.stored is None else None,
        )  # fmt: skip
        for group, panels in self._groups(weights):
            gemm(builder, spread, weights, output, group)
            for panel in panels:
                self._spread(builder, transposed, layer - 1, panel)

    def _weight_gradient(self, builder: Builder, layer: int, spread: Tensor) -> None:
        output = Output(tensor=self.tensors[f"weight_gradient{layer}"], raw=True)
        if layer == 1 and self.sparse_input:
            for panel in range(self._panels(spread)):
                spmm(builder, self.matrices["features_transposed"], spread, output, panel)
            return
        left = self.tensors["features" if layer == 1 else f"hidden{layer - 1}"]
        for group, _ in self._groups(spread):
            gemm_transposed(builder, left, spread, output, group)

    def _panels(self, tensor: Tensor) -> int:
        return -(-tensor.features // self.config.lanes)

    def _groups(self, tensor: Tensor) -> Iterator[tuple[int, range]]:
        """Panel groups as wide as the array, with their panels."""
        banks, panels = self.config.right_banks, self._panels(tensor)
        for group in range(-(-panels // banks)):
            yield group, range(group * banks, min((group + 1) * banks, panels))
