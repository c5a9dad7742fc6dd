# SPDX-License-Identifier: Apache-2.0
"""Softmax cross-entropy on the nodes whose labels are used, and accuracy."""

import numpy as np
from numpy.typing import NDArray

__all__ = ["accuracy", "cross_entropy"]

Array = NDArray[np.float64]


def cross_entropy(
    logits: Array, labels: NDArray[np.int64], nodes: NDArray[np.int64]
) -> tuple[float, Array]:
    """Mean cross-entropy over `nodes` and its gradient with respect to all logits.

    A node listed twice counts twice.

    Parameters
    ----------
    logits : NDArray[np.float64]
        Shape ``(nodes, classes)``.
    labels : NDArray[np.int64]
        Class of each node.
    nodes : NDArray[np.int64]
        At least one index.

    Examples
    --------
    >>> loss, gradient = cross_entropy(np.zeros((2, 2)), np.array([0, 1]), np.array([0]))
    >>> round(loss, 4), gradient.tolist()
    (0.6931, [[-0.5, 0.5], [0.0, 0.0]])
    """
    chosen = logits[nodes] - logits[nodes].max(axis=1, keepdims=True)
    log_total = np.log(np.exp(chosen).sum(axis=1))
    place = np.arange(len(nodes)), labels[nodes]
    loss = float((log_total - chosen[place]).mean())
    slope = np.exp(chosen - log_total[:, None])
    slope[place] -= 1
    gradient = np.zeros_like(logits)
    np.add.at(gradient, nodes, slope / len(nodes))
    return loss, gradient


def accuracy(logits: Array, labels: NDArray[np.int64], nodes: NDArray[np.int64]) -> float | None:
    """Fraction of `nodes` whose largest logit is their label's; None of no nodes."""
    if not len(nodes):
        return None
    return float((logits[nodes].argmax(axis=1) == labels[nodes]).mean())
