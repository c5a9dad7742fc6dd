# SPDX-License-Identifier: Apache-2.0
"""The golden models' gradients are their losses' slopes, and their layers are the textbook's."""

from itertools import pairwise

import numpy as np
import pytest
from scipy.sparse import csr_array, random_array

from gcnloom.graphs.aggregation import mean_norm, sum_with_own
from gcnloom.graphs.graph import gcn_norm
from gcnloom_sim.golden import loss_of
from gcnloom_sim.golden_models import backward, forward, layers_of
from tests.sim.slopes import require_slopes

NODES, FEATURES, HIDDEN, CLASSES = 11, 5, 4, 3
KINDS = [("gcn", False), ("gcn", True), ("sage", False), ("sage", True), ("gin", False)]


def edges(rng):
    adjacency = random_array((NODES, NODES), density=0.3, rng=rng).toarray()  # directed
    np.fill_diagonal(adjacency, 0)
    adjacency[4] = 0  # listens to nobody
    return csr_array(adjacency)


def problem(model, residual, seed, *, sparse=False):
    rng = np.random.default_rng(seed)
    print("seed", seed)
    layers = layers_of(model, edges(rng), 3, residual=residual, epsilon=0.3 * (model == "gin"))
    widths = (FEATURES, *[HIDDEN] * (len(layers) - 1), CLASSES)
    blocks = 2 if model == "sage" else 1
    weights = [rng.standard_normal((blocks * inner, outer)) for inner, outer in pairwise(widths)]
    features = rng.standard_normal((NODES, FEATURES))
    masks = [None, *((rng.random((NODES, HIDDEN)) < 0.7) / 0.7 for _ in weights[1:])]
    labels = rng.integers(0, CLASSES, NODES)
    features = csr_array(features) if sparse else features
    return layers, features, weights, masks, labels, rng.choice(NODES, 6)


@pytest.mark.parametrize("sparse", [False, True], ids=["dense", "sparse"])
@pytest.mark.parametrize(("model", "residual"), KINDS)
def test_gradients_are_the_slopes_of_the_loss(model, residual, sparse):
    layers, features, weights, masks, labels, nodes = problem(model, residual, 3, sparse=sparse)
    result = forward(layers, features, weights, masks)
    gradients = backward(layers, weights, result, labels, nodes, masks)

    def loss():
        return loss_of(forward(layers, features, weights, masks).logits, labels, nodes)

    require_slopes(gradients, weights, loss)


@pytest.mark.parametrize(("model", "residual"), KINDS)
def test_a_hidden_layer_is_the_textbooks_written_out(model, residual):
    adjacency = edges(np.random.default_rng(1)).toarray()
    layers = layers_of(model, csr_array(adjacency), 3, residual=residual, epsilon=0.5)
    rng = np.random.default_rng(2)
    hidden = rng.standard_normal((NODES, HIDDEN))
    weight, root = rng.standard_normal((2, HIDDEN, HIDDEN))
    degree = (adjacency + np.eye(NODES)).sum(axis=1)
    expected = np.zeros((NODES, HIDDEN))
    for i in range(NODES):
        heard = np.zeros(HIDDEN)
        for j in range(NODES):
            if model == "gcn":
                scale = (adjacency[i, j] + (i == j)) / np.sqrt(degree[i] * degree[j])
            elif model == "sage":
                scale = adjacency[i, j] / max(adjacency[i].sum(), 1e-300)
            else:
                scale = adjacency[i, j] + (i == j) * 1.5
            heard += scale * hidden[j]
        expected[i] = heard @ weight + (hidden[i] @ root if model == "sage" else 0)
        expected[i] += hidden[i] if residual else 0
    weights = np.vstack([weight, root]) if model == "sage" else weight
    # The second layer is a hidden one whose input is, too; of a perceptron the first has edges.
    layer = layers[2 if model == "gin" else 1]
    assert np.allclose(forward([layer], hidden, [weights]).logits, expected)


def test_the_hosts_matrices_are_the_golden_ones():
    adjacency = edges(np.random.default_rng(8))
    theirs = {"gcn": gcn_norm(adjacency), "sage": mean_norm(adjacency)}
    theirs["gin"] = sum_with_own(adjacency, 0.25)
    for model, matrix in theirs.items():
        layer = layers_of(model, adjacency, 1, epsilon=0.25)[0]
        assert np.allclose(matrix.toarray(), layer.adjacency.toarray(), rtol=1e-15)
