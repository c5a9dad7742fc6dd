# SPDX-License-Identifier: Apache-2.0
"""What a network's passes must multiply, and whether a device can: its sums, its random bytes."""

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import numpy as np
from scipy.sparse import csr_array, hstack, identity, issparse

from gcnloom.errors import ConfigError
from gcnloom.layers import Network
from gcnloom_spec.config import AcceleratorConfig

__all__ = ["check_draws", "check_sums", "necessary_macs", "row_sum_bits"]


def necessary_macs(
    network: Network, adjacency: csr_array, features: Any, rows: Sequence[int]
) -> dict[str, int]:
    """Multiplications by pass that no exact engine could leave out.

    Sparse matrices count with what is not zero after quantising, dense ones with every element.
    `rows` are how many nodes count of the input and of each layer: the first so many.
    """
    hidden = forward = 0
    for layer, (inner, outer) in enumerate(pairwise(network.widths), start=1):
        edges = weights = 0
        if network.aggregates(layer):
            edges = adjacency[: rows[layer], : rows[layer - 1]].count_nonzero()
        # A root term is of fewer nodes; ones, of an edge or of the identity, take no product.
        for nodes in rows[layer - 1 : layer + (1 if network.trains_root else 0)]:
            weights += _entries(features[:nodes]) if layer == 1 else nodes * inner
        forward += (weights + edges) * outer
        hidden += weights * outer if layer > 1 else 0
    # Backward: as much again, and the gradients that pass on to earlier layers.
    return {"forward": int(forward), "infer": int(forward), "backward": int(forward + hidden)}


def _entries(inputs: Any) -> int:
    """Count the elements of features that are multiplied."""
    return int(inputs.count_nonzero() if issparse(inputs) else inputs.size)


def check_sums(
    network: Network, adjacency: csr_array, features: Any, config: AcceleratorConfig, one: int = 0
) -> None:
    """Raise :class:`~gcnloom.errors.ConfigError` if any sum of any pass could wrap."""
    operand = config.operand_width
    widths = network.widths
    matrices = {
        "adjacency": adjacency,
        "transposed adjacency": adjacency.T,
        "features": features,
        "transposed features": features.T,
    }
    bits = {name: row_sum_bits(matrix, operand) for name, matrix in matrices.items()}
    if one:
        own = csr_array(one * identity(adjacency.shape[0], dtype=np.int64, format="csr"))
        both = csr_array(hstack([adjacency, own]))
        bits["adjacency with root terms"] = row_sum_bits(both, operand)
    if network.layers > 1:
        passing = [width * network.blocks(layer) for layer, width in enumerate(widths) if layer]
        longest = max(*widths[1:], *passing, adjacency.shape[0])
        bits["hidden layers"] = row_sum_bits(np.array([[longest << (operand - 1)]]), operand)
    for name, needed in bits.items():
        if needed > config.sum_width:
            raise ConfigError(
                f"sums over the {name} could need {needed} bits and sum_width is "
                f"{config.sum_width}; try a configuration with sum_width = {needed}"
            )


def check_draws(config: AcceleratorConfig, *, dropout: int, stochastic: bool) -> None:
    """Raise :class:`~gcnloom.errors.ConfigError` if the device cannot draw what is wanted."""
    if config.without_draws and (dropout or stochastic):
        wanted, remedy = (
            ("dropout", "dropout=0") if dropout else ("stochastic rounding", "rounding='nearest'")
        )
        raise ConfigError(
            f"{wanted} needs random bytes, which a device with without_draws=1 does not draw; "
            f"try {remedy}, or a configuration with without_draws=0"
        )


def row_sum_bits(matrix: Any, operand_width: int) -> int:
    """Bits that hold any row of integers times operands, whatever the operands are."""
    largest = int(abs(matrix).sum(axis=1).max()) << (operand_width - 1)
    return largest.bit_length() + 1
