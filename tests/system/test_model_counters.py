# SPDX-License-Identifier: Apache-2.0
"""Operation counters of a device equal the formulae of each model, exactly."""

from itertools import pairwise

import numpy as np
import pytest
from scipy.sparse import csr_array

from gcnloom.device import open as open_device
from gcnloom.graphs.graph import Graph
from gcnloom.lower.work import necessary_macs
from gcnloom.training.engine import Engine
from gcnloom.training.options import Options
from gcnloom.training.weights import first_weights
from tests.system.training import loss_and_gradient

FEATURES, HIDDEN, CLASSES = 6, 3, 2
KINDS = {
    "gcn": {},
    "deep gcn": {"layers": 4},
    "residual gcn": {"layers": 3, "residual": True},
    "sage": {"model": "sage"},
    "gin": {"model": "gin"},
}


def ring(nodes=12):
    """Every node listens to two others: a matrix has no empty row."""
    edges = np.eye(nodes, k=1) + np.eye(nodes, k=nodes - 1)
    rng = np.random.default_rng(0)
    everyone = np.arange(nodes)
    return Graph(
        name="ring", adjacency=csr_array(edges + edges.T),
        features=rng.uniform(0.1, 1, (nodes, FEATURES)), labels=everyone % CLASSES,
        train=everyone[:4], val=everyone[4:6], test=everyone[6:],
    )  # fmt: skip


def formulae(kind, nodes, edges):
    """Multiplications of each pass: on the sparse engine, on the array.

    One non-zero times one feature, or one row times one weight, is one. The ones of a root term
    are non-zeros, and so are those of a residual layer's identity.
    """
    options = KINDS[kind]
    model, layers = options.get("model", "gcn"), options.get("layers", 2)
    widths = [FEATURES, *[HIDDEN] * (layers * (2 if model == "gin" else 1) - 1), CLASSES]
    counts = {"forward": [0, 0], "backward": [0, 0]}
    for layer, (inner, outer) in enumerate(pairwise(widths)):
        residual = options.get("residual", False) and 0 < layer < layers - 1
        blocks = 2 if model == "sage" or residual else 1
        trained = 2 if model == "sage" else 1
        nonzeros = edges + nodes * (model != "sage") + nodes * (blocks == 2)
        if model == "gin" and layer % 2:
            nonzeros = 0
        counts["forward"][0] += nonzeros * outer
        counts["backward"][0] += nonzeros * outer
        counts["forward"][1] += nodes * inner * outer * blocks
        counts["backward"][1] += nodes * inner * outer * (trained + (blocks if layer else 0))
    return {name: tuple(pair) for name, pair in counts.items()}


def counted(graph, kind, spec):
    """What a device of one multiplier an engine counts in a pass, and its gradients' bytes."""
    network = Options(hidden=HIDDEN, dropout=0.0, **KINDS[kind]).network(FEATURES, CLASSES)
    with open_device(spec, memory_megabytes=1) as device:
        engine = Engine(graph, network, device, sampled=False, mixture=False)
        weights = first_weights(network, 1)
        logits = engine.forward(weights, step=0, training=True)
        gradients = engine.backward(loss_and_gradient(graph, logits)[1], step=0)
        found = {
            name: (engine.counters[name]["edges"], engine.counters[name]["transform_rows"])
            for name in ("forward", "backward")
        }
    return found, b"".join(array.tobytes() for array in gradients), network


@pytest.mark.parametrize("kind", KINDS)
def test_counters_equal_the_formulae(kind):
    graph = ring()
    found, _, network = counted(graph, kind, "model:smallest")
    assert found == formulae(kind, graph.nodes, graph.adjacency.nnz)
    adjacency = graph.adjacency
    if network.model != "sage":
        adjacency = csr_array(adjacency + np.eye(graph.nodes))
    rows = (graph.nodes,) * (network.layers + 1)
    necessary = necessary_macs(network, adjacency, graph.features, rows)
    ones = sum(graph.nodes * network.widths[layer] for layer in range(1, network.layers + 1)
               if network.rooted(layer))  # fmt: skip
    identity = sum(graph.nodes * HIDDEN**2 for layer in range(1, network.layers + 1)
                   if network.identity(layer))  # fmt: skip
    assert {name: sum(pair) - ones - identity for name, pair in found.items()} == {
        name: necessary[name] for name in found
    }


@pytest.mark.sim
@pytest.mark.parametrize("kind", ["residual gcn", "sage", "gin"])
def test_gateware_counts_the_same_and_leaves_the_same_bits(kind):
    graph = ring()
    found, bits, _ = counted(graph, kind, "rtl:smallest")
    assert found == formulae(kind, graph.nodes, graph.adjacency.nnz)
    assert bits == counted(graph, kind, "model:smallest")[1]
