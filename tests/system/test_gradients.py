# SPDX-License-Identifier: Apache-2.0
"""Gradients from the gateware are the textbook's, up to the rounding of operands."""

from dataclasses import replace

import numpy as np
import pytest
from scipy.sparse import csr_array, random_array

from gcnloom.device import open as open_device
from gcnloom.graphs.graph import Graph, gcn_norm
from gcnloom.layers import Network
from gcnloom.training.engine import Engine
from gcnloom_sim import golden
from tests.system.training import loss_and_gradient, start_weights

pytestmark = pytest.mark.sim

NODES, FEATURES, CLASSES = 150, 20, 4
TOLERANCES = {"rtl:odd": 0.08, "rtl:wide": 4e-4}
"""Relative error of a gradient in the Euclidean norm: operands of 8 bits and of 16."""


def graph_of(kind: str, *, sparse: bool, apart: int = 2) -> Graph:
    """Random graph; isolated nodes have no edge either way, directed ones few both ways."""
    rng = np.random.default_rng(7)
    adjacency = random_array((NODES, NODES), density=0.04, rng=rng, format="csr").toarray()
    np.fill_diagonal(adjacency, 0)
    if kind == "isolated":
        adjacency += adjacency.T
        lonely = rng.choice(NODES, size=30, replace=False)
        adjacency[lonely] = 0
        adjacency[:, lonely] = 0
    features = rng.uniform(-1, 1, (NODES, FEATURES)) * (rng.random((NODES, FEATURES)) < 0.4)
    everyone = np.arange(NODES)
    return Graph(
        name=kind,
        adjacency=csr_array(adjacency),
        features=csr_array(features) if sparse else features,
        labels=rng.integers(CLASSES, size=NODES),
        train=everyone[::apart],
        val=everyone[1::4],
        test=everyone[3::4],
    )


def distance(found, expected):
    return np.linalg.norm(found - expected) / np.linalg.norm(expected)


@pytest.mark.parametrize("sparse", [False, True], ids=["dense", "sparse"])
@pytest.mark.parametrize("kind", ["directed", "isolated"])
@pytest.mark.parametrize("spec", TOLERANCES)
@pytest.mark.parametrize(("sampled", "apart"), [(True, 25), (False, 2)], ids=["sampled", "whole"])
def test_gradients_are_the_golden_ones(sampled, apart, spec, kind, sparse):
    graph = graph_of(kind, sparse=sparse, apart=apart)
    network = Network(widths=(FEATURES, 13, CLASSES))
    weights = start_weights(network.widths, seed=3)
    with open_device(spec, memory_megabytes=2) as device:
        engine = Engine(graph, network, device, sampled=sampled)
        for _ in range(8):
            logits = engine.forward(weights, step=0, training=True)
            gradients = engine.backward(loss_and_gradient(graph, logits)[1], step=0)
            if engine.settled("forward") and engine.settled("backward"):
                break
        seen = engine.graph.order[: engine.graph.seen[1]]
        passing = device.read(engine.lowered.layout("hidden1"))[: len(seen)] > 0
        unit = 2.0 ** (1 - device.config.operand_width)
    adjacency = gcn_norm(graph.adjacency)
    result = golden.forward(adjacency, graph.features, weights)
    hidden = result.sums[0]
    passes = hidden > 0
    passes[seen] = passing
    # The ReLU's derivative jumps where a sum is within rounding of zero: either side is right.
    assert np.abs(hidden[passes != (hidden > 0)]).max(initial=0) < 4 * unit * np.abs(hidden).max()
    chosen = replace(result, sums=[np.where(passes, 1.0, -1.0), result.logits])
    expected = golden.backward(adjacency, weights, chosen, graph.labels, graph.train)
    errors = [distance(logits[graph.train], result.logits[graph.train])]
    errors += map(distance, gradients, expected)
    assert 0 < max(errors) < TOLERANCES[spec], errors


def test_the_directed_graph_tells_the_adjacency_from_its_transpose():
    graph = graph_of("directed", sparse=False)
    weights = start_weights((FEATURES, 13, CLASSES), seed=3)
    adjacency = gcn_norm(graph.adjacency)
    result = golden.forward(adjacency, graph.features, weights)
    right = golden.backward(adjacency, weights, result, graph.labels, graph.train)
    wrong = golden.backward(csr_array(adjacency.T), weights, result, graph.labels, graph.train)
    assert min(map(distance, wrong, right)) > 5 * TOLERANCES["rtl:odd"]


def test_isolated_nodes_listen_to_themselves_only():
    graph = graph_of("isolated", sparse=False)
    lonely = np.flatnonzero(np.diff(graph.adjacency.indptr) == 0)
    assert len(lonely) >= 30
    assert np.array_equal(
        gcn_norm(graph.adjacency)[lonely][:, lonely].toarray(), np.eye(len(lonely))
    )
