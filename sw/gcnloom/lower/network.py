# SPDX-License-Identifier: Apache-2.0
"""A whole network: its tensors in device memory and the programs of its passes."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

from gcnloom.layers import Network
from gcnloom.lower.arrangement import Arrangement
from gcnloom.lower.backward import lower_backward
from gcnloom.lower.blocks import Blocks
from gcnloom.lower.builder import Tensor
from gcnloom.lower.forward import lower_forward
from gcnloom.lower.hops import PassParts
from gcnloom.lower.matrices import Matrices
from gcnloom.lower.matrix import StoredMatrix
from gcnloom.lower.placement import Tensors
from gcnloom.lower.work import check_sums, necessary_macs
from gcnloom.programs.program import Program
from gcnloom.tensors.memory import Allocator, TensorLayout
from gcnloom_spec.config import AcceleratorConfig

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
    descend : Program or None
        Backward pass in which the device updates the weights itself.
    features : NDArray[np.int64] or None
        Mantissas of dense features, to be written once.
    necessary_macs, unsampled_macs : dict[str, int]
        By pass: multiplications no exact engine could leave out, sparse ones on non-zeros only,
        of the rows that the pass computes; and of all rows.
    blocks : dict[str, Blocks]
        Of the weights and the transposed ones, by tensor name.
    """

    network: Network
    config: AcceleratorConfig
    tensors: dict[str, Tensor]
    matrices: tuple[StoredMatrix, ...]
    forward: Program
    infer: Program
    backward: Program
    descend: Program | None
    features: NDArray[np.int64] | None
    necessary_macs: dict[str, int]
    unsampled_macs: dict[str, int]
    blocks: dict[str, Blocks]

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
    one: int = 0,
    seen: tuple[int, ...] | None = None,
    sampled: bool = False,
    serial: bool = False,
    mixture: bool = True,
    descends: bool = False,
) -> LoweredNetwork:
    """Schedule the graph, lower the three passes, and place what an epoch moves most first.

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
    one : int
        Mantissa of 1 at the adjacency's exponent, where the network has root terms.
    seen : tuple of int, optional
        How many nodes the loss sees of the input and of each layer: the first so many, see
        :class:`~gcnloom.graphs.receptive.ReceptiveField`. All if left out.
    sampled : bool
        Whether training computes those only. Its bits are the same.
    serial : bool
        Whether the units take turns, one command after the other, for comparison.
    mixture : bool
        Whether both engines share products of dense features where that is faster. The bits are
        the same.
    descends : bool
        Whether the device is to update the weights itself, too.
    """
    every = (adjacency.shape[0],) * (network.layers + 1)
    seen = every if seen is None else seen
    rows = seen if sampled else every
    check_sums(network, adjacency, features, config, one)
    begin = allocator.used
    matrices = Matrices(adjacency, features, config, allocator, one)
    tensors = Tensors(network, config, allocator, matrices.sparse_input)
    tensors.place(every[0], rows)
    parts = PassParts(
        network=network, config=config, matrices=matrices, tensors=tensors, serial=serial,
        mixture=mixture,
    )  # fmt: skip
    forward = lower_forward(parts, rows, seen)
    infer = lower_forward(parts, every, None)
    backward = lower_backward(parts, rows)
    descend = None
    if descends:
        tensors.place_masters()
        descend = lower_backward(parts, rows, descends=True)

    placed = Arrangement(allocator, begin, [forward, descend or backward], config)

    def macs(rows: tuple[int, ...]) -> dict[str, int]:
        return necessary_macs(network, adjacency, features, rows)

    return LoweredNetwork(
        network=network, config=config, tensors=placed.tensors(tensors.named),
        forward=placed.program(forward), infer=placed.program(infer),
        backward=placed.program(backward), descend=descend and placed.program(descend),
        matrices=placed.matrices(matrices),
        features=None if matrices.sparse_input else np.asarray(features, dtype=np.int64),
        necessary_macs=macs(rows) | {"infer": macs(every)["infer"]}, unsampled_macs=macs(every),
        blocks=tensors.every_block(),
    )  # fmt: skip
