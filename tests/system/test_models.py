# SPDX-License-Identifier: Apache-2.0
"""Logits and gradients of every model and depth are the textbook's, up to rounding."""

from dataclasses import replace

import numpy as np
import pytest
from scipy.sparse import csr_array

from gcnloom.device import open as open_device
from gcnloom.graphs.graph import Graph
from gcnloom.training.engine import Engine
from gcnloom.training.options import Options
from gcnloom.training.weights import first_weights
from gcnloom_sim.golden_models import backward, forward, layers_of
from gcnloom_spec.random import DROPOUT, draw
from tests.system.training import loss_and_gradient

NODES, FEATURES, CLASSES = 90, 20, 4
TOLERANCES = {"odd": 0.12, "wide": 8e-4}
"""Relative error of logits and gradients in the Euclidean norm: operands of 8 bits and of 16."""
MODELS = [("gcn", 3, False), ("gcn", 4, False), ("gcn", 4, True)]
MODELS += [("sage", 1, False), ("sage", 2, False), ("sage", 4, True), ("gin", 1, False)]
MODELS += [("gin", 3, False)]


def graph_of(*, sparse, seed=7):
    """Directed, some nodes without edges; few nodes enter the loss."""
    print("seed", seed)
    rng = np.random.default_rng(seed)
    adjacency = (rng.random((NODES, NODES)) < 0.04) * 1.0
    np.fill_diagonal(adjacency, 0)
    adjacency[:5] = adjacency[:, 3:9] = 0
    features = rng.uniform(-1, 1, (NODES, FEATURES)) * (rng.random((NODES, FEATURES)) < 0.4)
    everyone = np.arange(NODES)
    return Graph(
        name="directed", adjacency=csr_array(adjacency),
        features=csr_array(features) if sparse else features,
        labels=rng.integers(CLASSES, size=NODES), train=everyone[::15], val=everyone[1::4],
        test=everyone[3::4],
    )  # fmt: skip


def distance(found, expected):
    return np.linalg.norm(found - expected) / np.linalg.norm(expected)


def settled(engine, graph, weights, step):
    """Logits and gradients of a step whose shifts fit."""
    for _ in range(12):
        logits = engine.forward(weights, step=step, training=True)
        gradients = engine.backward(loss_and_gradient(graph, logits)[1], step=step)
        if engine.settled("forward") and engine.settled("backward"):
            break
    return logits, gradients


def masks_of(engine, seed, step):
    """What dropout multiplies each layer's input by, as the device draws it."""
    network, order = engine.network, engine.graph.order
    masks = [None]
    for layer, width in enumerate(network.widths[1:-1], start=1):
        draws = draw(
            seed=seed, step=step, tensor=network.identifier(f"hidden{layer}"), purpose=DROPOUT,
            rows=np.arange(len(order)), feature=0, count=width,
        )  # fmt: skip
        mask = np.zeros((len(order), width))
        mask[order] = (draws >= network.threshold) / network.kept
        masks.append(mask)
    return masks


def textbook(weights, network):
    """Return the golden model's weights, to which a residual layer's identity does not belong."""
    found = []
    for layer, array in enumerate(weights, start=1):
        kept = array.copy()
        if network.adds(layer) and network.trains_root:
            kept[len(kept) // 2 :] -= np.eye(*np.array(kept.shape) // (2, 1))
        found.append(kept)
    return found


CASES = [
    (model, spec, (number + other) % 2 == 0, number // 2 % 2 == other)
    for number, model in enumerate(MODELS)
    for other, spec in enumerate(TOLERANCES)
]


@pytest.mark.parametrize(("kind", "spec", "sparse", "sampled"), CASES)
def test_logits_and_gradients_are_the_golden_ones(kind, spec, sparse, sampled):
    model, layers, residual = kind
    graph = graph_of(sparse=sparse)
    epsilon = 0.25 if model == "gin" else 0.0
    options = Options(
        model=model, layers=layers, residual=residual, epsilon=epsilon, hidden=11, dropout=0.25
    )
    network = options.network(FEATURES, CLASSES)
    weights = first_weights(network, 3)
    with open_device(f"model:{spec}", memory_megabytes=2) as device:
        engine = Engine(graph, network, device, seed=5, sampled=sampled)
        logits, gradients = settled(engine, graph, weights, step=2)
        order, seen = engine.graph.order, engine.graph.seen
        passing = [
            device.read(engine.lowered.layout(f"hidden{layer}"))[: seen[layer]] > 0
            for layer in range(1, network.layers)
        ]
    golden = layers_of(model, graph.adjacency, layers, residual=residual, epsilon=epsilon)
    masks, golden_weights = masks_of(engine, 5, 2), textbook(weights, network)
    features = graph.features.toarray() if sparse else graph.features
    result = forward(golden, features, golden_weights, masks)
    # The ReLU's derivative jumps where a sum is within rounding of zero: either side is right.
    signs = []
    for layer, (sums, passes) in enumerate(zip(result.sums[:-1], passing, strict=True), start=1):
        sign, rows = sums.copy(), order[: seen[layer]]
        dropped = masks[layer][rows] == 0
        sign[rows] = np.where(dropped, sums[rows], np.where(passes, 1.0, -1.0))
        assert np.abs(sums[rows][(sums[rows] > 0) != (sign[rows] > 0)]).max(initial=0) < (
            TOLERANCES[spec] * np.abs(sums).max()
        )
        signs.append(sign)
    chosen = replace(result, sums=[*signs, result.logits])
    expected = backward(golden, golden_weights, chosen, graph.labels, graph.train, masks)
    errors = [distance(logits[graph.train], result.logits[graph.train])]
    errors += map(distance, gradients, expected)
    print(errors)
    assert 0 < max(errors) < TOLERANCES[spec], errors
