# SPDX-License-Identifier: Apache-2.0
"""Operation counters against formulae, and how engines split the operations: A2."""

import argparse
from collections.abc import Mapping
from dataclasses import astuple, dataclass, replace
from itertools import pairwise
from typing import Any

import numpy as np

from gcnloom.device import Device
from gcnloom.device import open as open_device
from gcnloom.graphs import datasets
from gcnloom.graphs.aggregation import aggregation
from gcnloom.graphs.graph import Graph
from gcnloom.layers import Network
from gcnloom.programs.shares import Shares, shares_of
from gcnloom.training.engine import Engine
from gcnloom.training.options import Options
from gcnloom.training.weights import first_weights
from gcnloom.transport import configuration
from gcnloom_sim.measure.statements.measured import Measured, Say
from gcnloom_spec.config import AcceleratorConfig

__all__ = ["KINDS", "Operations", "counted", "formulae", "operations"]

KINDS: Mapping[str, Mapping[str, Any]] = {
    "gcn": {},
    "gcn, 4 layers": {"layers": 4},
    "gcn, residual": {"layers": 3, "residual": True},
    "sage": {"model": "sage"},
    "gin": {"model": "gin"},
}
WORKLOADS = (("sbm:120,3", "smallest", 3), ("sbm:300,3", "odd", 10), ("digits", "demo", 16))
"""Graph, configuration and hidden features."""
PASSES = ("forward", "backward")


@dataclass(frozen=True, kw_only=True)
class Operations:
    """What a pass takes of both engines, in whole vectors.

    Attributes
    ----------
    edges : int
        Non-zeros times slices of as many features as an element has lanes.
    rows : int
        Nodes times the steps of an R x C array that each goes through.
    aggregated, transformed : int
        Vectors that the engines let out, which the fabric carries or the store unit writes.
    """

    edges: int
    rows: int
    aggregated: int
    transformed: int


def formulae(network: Network, graph: Graph, config: AcceleratorConfig) -> dict[str, Operations]:
    """Operations of each pass in closed form, for dense features and without sampling."""
    nodes = graph.nodes
    nonzeros = aggregation(graph.adjacency, network).nnz

    def slices(features: int) -> int:
        return -(-features // config.lanes)

    def high(features: int) -> int:
        return -(-features // config.rows)

    def wide(features: int) -> int:
        return -(-features // config.columns)

    def word(rows: int) -> int:
        """Rows of a term of its own, which begins a memory word."""
        return -(-rows // config.vector.items_per_word) * config.vector.items_per_word

    forward, backward = np.zeros(4, dtype=np.int64), np.zeros(4, dtype=np.int64)
    for layer, (inner, outer) in enumerate(pairwise(network.widths), start=1):
        blocks = network.blocks(layer)
        trained = 1 if network.identity(layer) else blocks
        if network.aggregates(layer):
            edges = (nonzeros + nodes * (blocks - 1)) * slices(outer)
            forward += [edges, 0, nodes * slices(outer), 0]
            back = blocks * word(nodes) if blocks > 1 else nodes
            # Rows that fill up a word are empty, and an edge clears each one's sum.
            cleared = (back - nodes * blocks) * slices(outer)
            backward += [edges + cleared, 0, back * slices(outer), 0]
        out = nodes * blocks * slices(outer)
        forward += [0, nodes * blocks * high(inner) * wide(outer), 0, out]
        lifted = high(inner) * config.rows * slices(outer) * trained
        backward += [0, nodes * trained * high(inner) * wide(outer), 0, lifted]
        if layer > 1:
            passed = nodes * blocks * high(outer) * wide(inner)
            backward += [0, passed, 0, nodes * slices(inner)]
    return {
        name: Operations(
            edges=int(found[0]), rows=int(found[1]), aggregated=int(found[2]),
            transformed=int(found[3]),
        )
        for name, found in (("forward", forward), ("backward", backward))
    }  # fmt: skip


def counted(network: Network, graph: Graph, device: Device) -> dict[str, tuple[Operations, Shares]]:
    """Return what a device counts in each pass, and how its program splits that."""
    engine = Engine(graph, network, device, sampled=False, mixture=False)
    engine.forward(first_weights(network, 1), step=0, training=True)
    gradient = np.random.default_rng(0).normal(size=(graph.nodes, graph.classes))
    engine.backward(gradient, step=0)
    found = {}
    for name in PASSES:
        counters = engine.counters[name]
        shares = shares_of(getattr(engine.lowered, name), device.config)
        found[name] = (
            Operations(
                edges=counters["edges"], rows=counters["transform_rows"],
                aggregated=shares.vectors.get("aggregate", 0),
                transformed=shares.vectors.get("transform", 0),
            ),
            shares,
        )  # fmt: skip
    return found


def operations(options: argparse.Namespace, say: Say) -> Measured:
    """A2: counters of the hardware equal the formulae of every model; shares add up to them."""
    cells: list[tuple[object, ...]] = []
    held: list[bool] = []
    uneven = 0.0
    for data, name, hidden in WORKLOADS:
        graph = _dense(datasets.load(data))
        with open_device(options.device, configuration(name), memory_megabytes=16) as device:
            for kind, changes in KINDS.items():
                say(f"{kind} on {name}")
                settings = Options(hidden=hidden, dropout=0.0, **changes)
                network = settings.network(graph.features.shape[1], graph.classes)
                expected = formulae(network, graph, device.config)
                for part, (found, shares) in counted(network, graph, device).items():
                    adds_up = sum(shares.edges) == found.edges and shares.rows == found.rows
                    held.append(found == expected[part] and adds_up)
                    uneven = max(uneven, shares.imbalance)
                    cells.append(
                        (name, kind, part, *_pairs(found, expected[part]),
                         f"{shares.imbalance:.4f}", _passed(shares))
                    )  # fmt: skip
    return Measured(
        header=(
            "configuration", "model", "pass", "edges, counted and by formula",
            "rows of the array", "vectors of the sparse engine", "vectors of the array",
            "edges of an element, largest over mean", "fabric, bytes",
        ),
        rows=cells, held=held,
        asked="counters equal the formula for GCN, SAGE and GIN, exactly",
        measured=f"{len(cells)} passes of {len(KINDS)} models on {len(WORKLOADS)} configurations: "
        f"{sum(held)} equal; edges split over elements within "
        f"{100 * (uneven - 1):.1f} % of the mean",
    )  # fmt: skip


def _pairs(found: Operations, expected: Operations) -> list[str]:
    return [
        f"{one:,} = {other:,}" if one == other else f"**{one:,} not {other:,}**"
        for one, other in zip(astuple(found), astuple(expected), strict=True)
    ]


def _passed(shares: Shares) -> str:
    """Bytes that the fabric carries from engine to engine."""
    return ", ".join(
        f"{way} {count * shares.vector_bytes:,}" for way, count in sorted(shares.fabric.items())
        if not way.endswith("store")
    )  # fmt: skip


def _dense(graph: Graph) -> Graph:
    """Return the graph with its features as a dense matrix, all of which is multiplied."""
    if isinstance(graph.features, np.ndarray):
        return graph
    return replace(graph, features=graph.features.toarray())
