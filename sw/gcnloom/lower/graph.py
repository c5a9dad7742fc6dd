# SPDX-License-Identifier: Apache-2.0
"""A graph for a device: ordered, normalised, quantised, and its network lowered."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

from gcnloom.errors import ConfigError, MemoryFullError
from gcnloom.graphs.aggregation import aggregation
from gcnloom.graphs.graph import Graph
from gcnloom.graphs.partition import node_order
from gcnloom.graphs.receptive import ReceptiveField
from gcnloom.layers import Network
from gcnloom.lower.engines import check_sparse
from gcnloom.lower.network import LoweredNetwork, lower_network
from gcnloom.tensors.memory import ADDRESSABLE, Allocator
from gcnloom.tensors.quantised import quantised
from gcnloom_spec.config import AcceleratorConfig
from gcnloom_spec.isa import COMMAND_BYTES

__all__ = ["LoweredGraph", "OrderedGraph", "lower_graph", "order_graph"]

MIB = 1 << 20
ORDERED_FROM = 4096
"""Nodes up to which the order of the nodes is left as it is."""
PART_NODES = 1024
"""Nodes of a part whose nodes come together."""


@dataclass(frozen=True, kw_only=True, eq=False)
class LoweredGraph:
    """Programs of a network on a graph, and how the graph's numbers were changed for them.

    Attributes
    ----------
    lowered : LoweredNetwork
    order : NDArray[np.int64]
        ``order[row on the device] = node``. What the loss sees of a layer comes first.
    seen : tuple of int
        How many nodes the loss sees of the input and of each layer.
    adjacency_exponent, features_exponent : int
    lost_edges : int
        Edges, self loops included, whose weight is below half of the smallest mantissa.
    """

    lowered: LoweredNetwork
    order: NDArray[np.int64]
    seen: tuple[int, ...]
    adjacency_exponent: int
    features_exponent: int
    lost_edges: int


@dataclass(frozen=True, kw_only=True, eq=False)
class OrderedGraph:
    """A graph's matrices as integers, nodes in the order in which they lie on a device.

    Attributes
    ----------
    adjacency : csr_array of int
        Mantissas of the normalised adjacency, rows are targets.
    features : csr_array of int or NDArray[np.int64]
    order : NDArray[np.int64]
        ``order[row] = node``. What the loss sees of a layer comes first.
    seen : tuple of int
        How many nodes the loss sees of the input and of each layer.
    adjacency_exponent, features_exponent : int
    lost_edges : int
        Edges, self loops included, whose weight is below half of the smallest mantissa.
    one : int
        Mantissa of 1 at the adjacency's exponent; 0 if the network has no root terms.
    """

    adjacency: csr_array
    features: Any
    order: NDArray[np.int64]
    seen: tuple[int, ...]
    adjacency_exponent: int
    features_exponent: int
    lost_edges: int
    one: int = 0


def order_graph(graph: Graph, network: Network, config: AcceleratorConfig) -> OrderedGraph:
    """Normalise, quantise and order a graph.

    Its numbers depend on the operand width alone, the order on the graph.
    """
    adjacency, adjacency_exponent = quantised(
        "adjacency", aggregation(graph.adjacency, network), config, least=float(network.has_roots)
    )
    if network.has_roots and adjacency_exponent > 0:
        raise ConfigError(
            f"{graph.name} has weights of 2**{config.operand_width - 2 + adjacency_exponent} and "
            "more, at whose exponent the root terms' 1 is no mantissa; try smaller weights of edges"
        )
    features, features_exponent = quantised("features", graph.features, config)
    field = ReceptiveField.of(adjacency, graph.train, network.hops)
    order = field.sort(_order(graph))
    return OrderedGraph(
        adjacency=csr_array(adjacency[order][:, order]), features=features[order], order=order,
        seen=network.rows_of(field.rows), adjacency_exponent=adjacency_exponent,
        features_exponent=features_exponent,
        lost_edges=int(adjacency.nnz - adjacency.count_nonzero()),
        one=1 << -adjacency_exponent if network.has_roots else 0,
    )  # fmt: skip


def lower_graph(
    graph: Graph,
    network: Network,
    config: AcceleratorConfig,
    allocator: Allocator,
    *,
    sampled: bool = True,
    serial: bool = False,
    mixture: bool = True,
    descends: bool = False,
) -> LoweredGraph:
    """Normalise, quantise and order a graph, place it in device memory and lower its passes.

    Training is `sampled` where it computes only what the loss of the training nodes sees.
    Where passes are `serial` the units of the device take turns. With `mixture` both engines share
    products of dense features where that is faster. With `descends` there is also a backward pass
    that updates the weights.

    Raises
    ------
    ConfigError
        The device has no sparse engine.
    MemoryFullError
        Graph, tensors and the longest program do not fit; says what would.
    """
    check_sparse(config)
    ordered = order_graph(graph, network, config)

    def lower(memory: Allocator) -> LoweredNetwork:
        return lower_network(
            network, ordered.adjacency, ordered.features, config, memory, one=ordered.one,
            seen=ordered.seen, sampled=sampled, serial=serial, mixture=mixture, descends=descends,
        )  # fmt: skip

    try:
        lowered = lower(allocator)
    except MemoryFullError:
        raise _too_large(graph, lower, config, allocator, sampled) from None
    if _program_words(lowered) > allocator.free:
        raise _too_large(graph, lower, config, allocator, sampled)
    return LoweredGraph(
        lowered=lowered, order=ordered.order, seen=ordered.seen,
        adjacency_exponent=ordered.adjacency_exponent,
        features_exponent=ordered.features_exponent, lost_edges=ordered.lost_edges,
    )  # fmt: skip


def _order(graph: Graph) -> NDArray[np.int64]:
    """Order in which nodes lie on a device, for one graph the same on every device.

    Random draws follow it. Where a graph is so large that tiles without an edge are worth having,
    neighbours are close, and nodes without any come last.
    """
    if graph.nodes <= ORDERED_FROM:
        return np.arange(graph.nodes)
    order = node_order(graph.adjacency, -(-graph.nodes // PART_NODES))
    neighbours = np.diff(graph.adjacency.indptr) + np.diff(csr_array(graph.adjacency.T).indptr)
    return order[np.argsort(neighbours[order] == 0, kind="stable")]


def _program_words(lowered: LoweredNetwork) -> int:
    """Words of the longest program; the passes take turns in one region."""
    commands = max(len(program) for program in (lowered.forward, lowered.infer, lowered.backward))
    return -(-commands * COMMAND_BYTES // lowered.config.memory_bytes)


def _too_large(
    graph: Graph,
    lower: Callable[[Allocator], LoweredNetwork],
    config: AcceleratorConfig,
    allocator: Allocator,
    sampled: bool,
) -> MemoryFullError:
    """Return the error with what is needed, found by lowering for a memory without end."""
    endless = Allocator(ADDRESSABLE, config.memory_bytes)
    lowered = lower(endless)
    need = (endless.words - endless.free + _program_words(lowered)) * config.memory_bytes
    there = allocator.most * config.memory_bytes
    return MemoryFullError(
        f"{graph.name}: {graph.nodes:,} nodes and {graph.adjacency.nnz:,} edges need "
        f"{need / MIB:.2f} MiB of device memory and {there / MIB:.2f} MiB are there, enough for "
        f"about {int(graph.nodes * there / need):,} nodes of such a graph; try a device with "
        f"{-(-need // MIB)} MiB, {'no sampling, ' if sampled else ''}fewer hidden features or a "
        "smaller graph"
    )
