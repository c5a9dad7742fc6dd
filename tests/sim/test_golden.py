# SPDX-License-Identifier: Apache-2.0
"""The golden model's gradients are its loss's slopes, and it learns what it should."""

from itertools import pairwise

import numpy as np
import pytest
from scipy.sparse import csr_array, random_array

from gcnloom.graphs.datasets import load
from gcnloom.graphs.graph import gcn_norm
from gcnloom.training.optimiser import SGD, Adam
from gcnloom_sim.golden import accuracy, backward, forward, loss_of, train
from tests.sim.slopes import require_slopes


def problem(sizes, seed, sparse):
    rng = np.random.default_rng(seed)
    nodes = 11
    adjacency = csr_array(random_array((nodes, nodes), density=0.4, rng=rng))  # directed
    features = rng.standard_normal((nodes, sizes[0]))
    features *= rng.random(features.shape) < 0.6
    weights = [rng.standard_normal(pair) for pair in pairwise(sizes)]
    masks = [(rng.random((nodes, size)) < 0.7) / 0.7 for size in sizes[:-1]]
    labels = rng.integers(0, sizes[-1], nodes)
    chosen = rng.choice(nodes, 6)  # repeats count twice
    return adjacency, csr_array(features) if sparse else features, weights, masks, labels, chosen


@pytest.mark.parametrize("sizes", [(5, 3), (5, 4, 3), (4, 6, 5, 2)])
@pytest.mark.parametrize("sparse", [False, True])
@pytest.mark.parametrize("with_masks", [False, True])
def test_gradients_are_the_slopes_of_the_loss(sizes, sparse, with_masks):
    adjacency, features, weights, masks, labels, nodes = problem(sizes, len(sizes), sparse)
    masks = masks if with_masks else ()
    result = forward(adjacency, features, weights, masks)
    gradients = backward(adjacency, weights, result, labels, nodes, masks)

    def loss():
        return loss_of(forward(adjacency, features, weights, masks).logits, labels, nodes)

    require_slopes(gradients, weights, loss)


def test_forward_equals_sums_written_out():
    adjacency, features, weights, masks, _, _ = problem((3, 4, 2), seed=9, sparse=False)
    hidden, dense = features * masks[0], adjacency.toarray()
    for index, weight in enumerate(weights):
        total = np.zeros((len(hidden), weight.shape[1]))
        for i in range(len(hidden)):
            for c in range(weight.shape[1]):
                total[i, c] = sum(
                    dense[i, j] * hidden[j, k] * weight[k, c]
                    for j in range(len(hidden))
                    for k in range(weight.shape[0])
                )
        hidden = np.where(total > 0, total, 0) * (masks[1] if index == 0 else 1)
    assert np.allclose(forward(adjacency, features, weights, masks).logits, total)


def test_the_loss_of_equal_logits_is_the_logarithm_of_the_classes():
    logits = np.full((4, 5), 1e4)  # large: exp would overflow
    assert np.isclose(loss_of(logits, np.zeros(4, dtype=int), np.arange(4)), np.log(5))


def initial(graph, hidden, seed):
    rng = np.random.default_rng(seed)
    sizes = (graph.features.shape[1], hidden, graph.classes)
    return [rng.standard_normal(pair) * 0.2 for pair in pairwise(sizes)]


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("dropout", [0.0, 0.5])
def test_training_learns_and_computes_in_the_wanted_type(dtype, dropout):
    graph = load("sbm:300,3", seed=1)
    weights, losses = train(
        gcn_norm(graph.adjacency),
        graph.features,
        graph.labels,
        graph.train,
        initial(graph, 8, seed=0),
        Adam(lr=0.02).step,
        epochs=60,
        dropout=dropout,
        dtype=dtype,
    )
    assert {weight.dtype for weight in weights} == {np.dtype(dtype)}
    assert len(losses) == 60 and losses[-1] < 0.3 * losses[0]
    logits = forward(gcn_norm(graph.adjacency), graph.features, weights).logits
    assert accuracy(logits, graph.labels, graph.test) > 0.9


def test_training_without_dropout_is_plain_descent():
    adjacency, features, weights, _, labels, nodes = problem((3, 4, 2), seed=2, sparse=True)
    trained, losses = train(adjacency, features, labels, nodes, weights, SGD(lr=0.1).step, epochs=2)
    for expected in losses:
        result = forward(adjacency, features, weights)
        assert np.isclose(loss_of(result.logits, labels, nodes), expected)
        gradients = backward(adjacency, weights, result, labels, nodes)
        weights = [w - 0.1 * g for w, g in zip(weights, gradients, strict=True)]
    assert all(np.allclose(a, b) for a, b in zip(trained, weights, strict=True))


def test_dropout_depends_on_the_seed_alone():
    adjacency, features, weights, _, labels, nodes = problem((3, 4, 2), seed=2, sparse=True)

    def losses(seed):
        step = SGD(lr=0.1).step
        args = (adjacency, features, labels, nodes, weights, step)
        return train(*args, epochs=3, dropout=0.5, seed=seed)[1]

    assert losses(1) == losses(1) != losses(2)
