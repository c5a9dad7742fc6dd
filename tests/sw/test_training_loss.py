# SPDX-License-Identifier: Apache-2.0
"""Loss, gradient and accuracy mean what the formulae say."""

import numpy as np
import pytest

from gcnloom.training.loss import accuracy, cross_entropy

LABELS = np.array([2, 0, 1, 2, 1, -1])


@pytest.mark.parametrize("nodes", [[0], [0, 1, 2, 3], [1, 1, 4], [4, 2, 0, 4]])
def test_the_gradient_is_that_of_finite_differences(nodes):
    rng = np.random.default_rng(1)
    logits, nodes, small = rng.normal(0, 2, (6, 3)), np.array(nodes), 1e-6
    _, gradient = cross_entropy(logits, LABELS, nodes)
    numeric = np.zeros_like(logits)
    for place in np.ndindex(*logits.shape):
        nudge = np.zeros_like(logits)
        nudge[place] = small
        above, _ = cross_entropy(logits + nudge, LABELS, nodes)
        below, _ = cross_entropy(logits - nudge, LABELS, nodes)
        numeric[place] = (above - below) / (2 * small)
    assert np.allclose(gradient, numeric, atol=1e-8)


def test_the_loss_is_the_mean_negative_log_probability():
    logits = np.random.default_rng(2).normal(0, 2, (6, 3))
    shares = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    loss, _ = cross_entropy(logits, LABELS, np.array([0, 3, 3]))
    expected = -(np.log(shares[0, 2]) + 2 * np.log(shares[3, 2])) / 3
    assert loss == pytest.approx(expected, rel=1e-12)


def test_huge_logits_neither_overflow_nor_vanish():
    logits = np.array([[1e300, -1e300], [0.0, 800.0]])
    loss, gradient = cross_entropy(logits, np.array([0, 0]), np.array([0, 1]))
    assert loss == 400.0
    assert gradient.tolist() == [[0.0, 0.0], [-0.5, 0.5]]


def test_accuracy_counts_the_nodes_asked_for_only():
    logits = np.eye(3)[[2, 1, 1, 2, 0, 0]]
    assert accuracy(logits, LABELS, np.array([0, 1, 2])) == pytest.approx(2 / 3)
    assert accuracy(logits, LABELS, np.array([1, 1, 0, 4])) == 0.25
    assert accuracy(logits, LABELS, np.zeros(0, np.int64)) is None
