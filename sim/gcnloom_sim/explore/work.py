# SPDX-License-Identifier: Apache-2.0
"""A network's passes as products in stages: what a closed form of their cycles needs to know."""

from dataclasses import dataclass
from itertools import pairwise

from scipy.sparse import issparse

from gcnloom.graphs.graph import Graph
from gcnloom.layers import Network

__all__ = ["Product", "Stage", "stages"]


@dataclass(frozen=True, kw_only=True)
class Product:
    """One matrix product.

    Parameters
    ----------
    rows, inner, width : int
        ``rows`` by ``inner`` times ``inner`` by ``width``.
    nonzeros : int
        Of the left matrix if it is sparse, else 0.
    matrix : str
        Names a sparse matrix, whose edges several products share.
    transposed : bool
        A dense product whose left operand is transposed: rows of the result are stationary.
    stored : bool
        Whether the result has to go to device memory.
    raw : bool
        Whether it goes there as raw sums.
    """

    rows: int
    inner: int
    width: int
    nonzeros: int = 0
    matrix: str = ""
    transposed: bool = False
    stored: bool = False
    raw: bool = False


Stage = tuple[Product, ...]
"""Products that overlap, each taking from the one before it; stages follow one another."""


def stages(graph: Graph, network: Network, work: str) -> tuple[Stage, ...]:
    """Products of a row's passes, all rows of all of them: sampling leaves some out."""
    inference = _forward(graph, network)
    return inference if work == "inference" else inference + _backward(graph, network)


def _forward(graph: Graph, network: Network) -> tuple[Stage, ...]:
    found = []
    for layer, (inner, outer) in enumerate(pairwise(network.widths), start=1):
        last = layer == network.layers
        found.append(
            (
                _times_weights(graph, layer, inner, outer),
                _along_edges(graph, outer, stored=True, raw=last),
            )
        )
    return tuple(found)


def _backward(graph: Graph, network: Network) -> tuple[Stage, ...]:
    found = []
    nodes = graph.nodes
    for layer in range(network.layers, 0, -1):
        inner, outer = network.widths[layer - 1], network.widths[layer]
        stage: list[Product] = []
        if layer == network.layers:
            stage.append(_along_edges(graph, outer, stored=True))
        if layer > 1:
            stage.append(Product(rows=nodes, inner=outer, width=inner))
            stage.append(_along_edges(graph, inner, stored=True))
        if layer == 1 and issparse(graph.features):
            gradient = Product(
                rows=inner, inner=nodes, width=outer, nonzeros=graph.features.nnz,
                matrix="features_transposed", stored=True, raw=True,
            )  # fmt: skip
        else:
            gradient = Product(
                rows=inner, inner=nodes, width=outer, transposed=True, stored=True, raw=True
            )
        found.append((*stage, gradient))
    return tuple(found)


def _times_weights(graph: Graph, layer: int, inner: int, outer: int) -> Product:
    if layer == 1 and issparse(graph.features):
        return Product(
            rows=graph.nodes, inner=inner, width=outer, nonzeros=graph.features.nnz,
            matrix="features",
        )  # fmt: skip
    return Product(rows=graph.nodes, inner=inner, width=outer)


def _along_edges(graph: Graph, width: int, *, stored: bool, raw: bool = False) -> Product:
    return Product(
        rows=graph.nodes, inner=graph.nodes, width=width,
        nonzeros=graph.adjacency.nnz + graph.nodes, matrix="adjacency", stored=stored, raw=raw,
    )  # fmt: skip
