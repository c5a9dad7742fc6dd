# SPDX-License-Identifier: Apache-2.0
"""Training with rows of earlier epochs, in float64 and on whole matrices: nothing is exchanged."""

from collections import defaultdict

import numpy as np
from scipy.sparse import csr_array

from gcnloom.graphs.graph import gcn_norm

__all__ = ["stale_weights"]


class _Past:
    """What every tensor was in each epoch."""

    def __init__(self, staleness):
        self._staleness, self._epochs = staleness, defaultdict(list)

    def keep(self, name, matrix):
        """Return the matrix as it was so many epochs ago, or in the first."""
        self._epochs[name].append(matrix)
        return self._epochs[name][max(0, len(self._epochs[name]) - 1 - self._staleness)]


def stale_weights(graph, weights, order, owners, mode, staleness, *, epochs, lr, momentum):
    """Weights of a GCN without dropout after so many epochs of SGD.

    Parameters
    ----------
    order : NDArray
        Node of each row.
    owners : callable
        Worker of each of so many rows or columns; under ``"partition"``, of each row.
    """
    adjacency = csr_array(gcn_norm(graph.adjacency))[order][:, order].toarray()
    features = graph.features[order]
    features = features if isinstance(features, np.ndarray) else features.toarray()
    labels = graph.labels[order]
    train = np.flatnonzero(np.isin(order, graph.train))
    past = _Past(staleness)
    own = owners(len(order))

    def aggregate(name, matrix, dense, after=lambda sums: sums):
        earlier = past.keep(name, dense)
        if mode == "partition":
            same = own[:, None] == own[None, :]
            return after((matrix * same) @ dense + (matrix * ~same) @ earlier)
        same = own[:, None] == owners(dense.shape[1])[None, :]
        result = after(matrix @ np.where(same, dense, earlier))
        return np.where(same, result, past.keep(f"{name}, returned", result))

    weights = [array.copy() for array in weights]
    moments = [np.zeros_like(array) for array in weights]
    for _ in range(epochs):
        hidden = aggregate("first", adjacency, features @ weights[0], lambda s: np.maximum(s, 0))
        logits = aggregate("second", adjacency, hidden @ weights[1])
        odds = np.exp(logits - logits.max(axis=1, keepdims=True))
        gradient = odds / odds.sum(axis=1, keepdims=True)
        gradient[np.arange(len(labels)), labels] -= 1
        gradient[~np.isin(np.arange(len(labels)), train)] = 0
        spread2 = aggregate("second back", adjacency.T, gradient / len(train))
        passed = (spread2 @ weights[1].T) * (hidden > 0)
        spread1 = aggregate("first back", adjacency.T, passed)
        for layer, slope in enumerate((features.T @ spread1, hidden.T @ spread2)):
            moments[layer] = momentum * moments[layer] + slope
            weights[layer] = weights[layer] - lr * moments[layer]
    return weights
