# SPDX-License-Identifier: Apache-2.0
"""What workers exchange, in closed form: bytes of all workers together, by class of message."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

from gcnloom.layers import Network
from gcnloom.parallel.scheme import wire_type
from gcnloom_spec.config import AcceleratorConfig

__all__ = ["Volume", "all_reduce_bytes", "mop_bytes", "partition_bytes", "remote_rows"]

COUNT_BYTES = 8
"""Of an envelope, a count or a part of a loss."""
LOSS_PARTS = 3
"""Integers that a sum of losses travels as."""


@dataclass(frozen=True, kw_only=True)
class Volume:
    """Sizes that the formulae take.

    Parameters
    ----------
    widths : tuple of int
        Features of the input and of each layer: D of layer l is ``widths[l]``.
    rows : tuple of int
        Rows of the input and of each layer that a training pass computes.
    nodes : int
        Of the graph: rows of inference.
    workers : int
    operand_bytes, sum_bytes : int
        Of an element that travels as an operand, as a raw sum.
    """

    widths: tuple[int, ...]
    rows: tuple[int, ...]
    nodes: int
    workers: int
    operand_bytes: int
    sum_bytes: int

    @classmethod
    def of(
        cls, network: Network, rows: tuple[int, ...], nodes: int, workers: int,
        config: AcceleratorConfig,
    ) -> "Volume":  # fmt: skip
        """Sizes of a network on a graph, on accelerators of one configuration."""
        return cls(
            widths=network.widths, rows=rows, nodes=nodes, workers=workers,
            operand_bytes=wire_type(config.operand_width).itemsize,
            sum_bytes=wire_type(config.sum_width).itemsize,
        )  # fmt: skip

    @property
    def layers(self) -> range:
        """Numbers of the layers."""
        return range(1, len(self.widths))

    @property
    def everywhere(self) -> tuple[int, ...]:
        """Rows of inference."""
        return (self.nodes,) * len(self.widths)


def all_reduce_bytes(elements: int, element_bytes: int, workers: int) -> int:
    """``2 * (P - 1)`` times the array: each element comes together once and is handed round."""
    return 2 * (workers - 1) * elements * element_bytes


def mop_bytes(volume: Volume, runs: Mapping[str, int], *, val: bool) -> dict[str, float]:
    """Bytes of an epoch under mixture of parallelism.

    A switch between rows and columns moves all of an N x D matrix but for what a worker keeps:
    ``N * D * b * (1 - 1/P)``. Each layer takes two forward, of D = its outputs, and two backward:
    ``4 * L * N * D * b * (1 - 1/P)`` where all layers are alike. The last layer's results are raw
    sums, with a larger b.

    Parameters
    ----------
    volume : Volume
    runs : mapping of str to int
        How often each pass runs.
    val : bool
        Whether validation nodes are looked at.
    """
    share = 1 - 1 / volume.workers
    activations, logits = _switches(volume, volume.rows)
    gradients = sum(
        (volume.rows[layer - 1] + volume.rows[layer]) * volume.widths[layer]
        for layer in volume.layers
    )
    every, last = _switches(volume, volume.everywhere)
    b, raw = volume.operand_bytes, volume.sum_bytes
    return {
        "activations": runs["forward"] * activations * b * share,
        "logits": runs["forward"] * logits * raw * share,
        "gradients": runs["backward"] * gradients * b * share,
        "inference": runs["infer"] * (every * b + last * raw) * share,
    } | _shared(volume, runs, val=val)


def partition_bytes(
    volume: Volume, adjacency: csr_array, membership: NDArray[np.int64],
    runs: Mapping[str, int], *, val: bool,
) -> dict[str, float]:  # fmt: skip
    """Bytes of an epoch under partition parallelism.

    With R_i the rows of others that worker i needs, an aggregation of D columns moves
    ``sum(|R_i|) * D * b``, once forward and once, along the transposed edges, backward.

    Parameters
    ----------
    volume : Volume
    adjacency : csr_array
        Rows are targets, in the order in which nodes lie on a device.
    membership : NDArray[np.int64]
        Worker of each row.
    runs : mapping of str to int
    val : bool
    """
    rows, b = volume.rows, volume.operand_bytes
    transposed = csr_array(adjacency.T)

    def halo(matrix: csr_array, outputs: int, inputs: int) -> int:
        return remote_rows(csr_array(matrix[:outputs, :inputs]), membership)

    def total(counts: Sequence[int]) -> int:
        return b * sum(
            count * volume.widths[layer] for count, layer in zip(counts, volume.layers, strict=True)
        )

    return {
        "activations": runs["forward"]
        * total([halo(adjacency, rows[layer], rows[layer - 1]) for layer in volume.layers]),
        "logits": 0,
        "gradients": runs["backward"]
        * total([halo(transposed, rows[layer - 1], rows[layer]) for layer in volume.layers]),
        "inference": runs["infer"]
        * total([halo(adjacency, volume.nodes, volume.nodes)] * len(volume.layers)),
    } | _shared(volume, runs, val=val)


def remote_rows(matrix: csr_array, membership: NDArray[np.int64]) -> int:
    """Sum over all workers of the rows of others that they need to multiply their own.

    Examples
    --------
    >>> remote_rows(csr_array(np.array([[1, 1], [0, 1]])), np.array([0, 1]))
    1
    """
    places = matrix.tocoo()
    row, column = (index[places.data != 0].astype(np.int64) for index in places.coords)
    apart = membership[row] != membership[column]
    pairs = membership[row[apart]] * matrix.shape[1] + column[apart]
    return len(np.unique(pairs))


def _switches(volume: Volume, rows: Sequence[int]) -> tuple[int, int]:
    """Elements that a forward pass switches: as operands, and as the last layer's sums."""
    widths, last = volume.widths, volume.layers[-1]
    operands = sum(rows[layer - 1] * widths[layer] for layer in volume.layers)
    operands += sum(rows[layer] * widths[layer] for layer in volume.layers if layer < last)
    return operands, rows[last] * widths[last]


def _shared(volume: Volume, runs: Mapping[str, int], *, val: bool) -> dict[str, float]:
    """Bytes of what every mode reduces: weight gradients, and statistics of each pass."""
    widths, layers = volume.widths, volume.layers
    weights = sum(widths[layer - 1] * widths[layer] for layer in layers)
    # Of each pass the envelopes of 2L - 1 tensors and what was clipped; the backward one begins
    # with the gradient's exponent, the forward one ends with the losses.
    each = 2 * len(layers)
    statistics = runs["forward"] * (each + LOSS_PARTS) + runs["backward"] * (each + 1)
    statistics += runs["infer"] * each + 1 + (val and LOSS_PARTS + 1)
    return {
        "weights": runs["backward"] * all_reduce_bytes(weights, volume.sum_bytes, volume.workers),
        "statistics": all_reduce_bytes(statistics, COUNT_BYTES, volume.workers),
    }
