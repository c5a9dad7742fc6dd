# SPDX-License-Identifier: Apache-2.0
"""Graphs so small that a training of them takes a blink, and awkward ones."""

import numpy as np
from scipy.sparse import csr_array

from gcnloom.graphs import datasets
from gcnloom.graphs.graph import Graph

__all__ = ["AWKWARD", "block_model", "changed", "write_npz"]


def block_model(nodes=40, classes=2, seed=3):
    """Two thirds of the nodes are labelled for training and validation."""
    return datasets.load(f"sbm:{nodes},{classes}", seed=seed)


def changed(graph, **fields):
    """The same graph but for some fields."""
    names = ("name", "adjacency", "features", "labels", "train", "val", "test")
    return Graph(**{name: getattr(graph, name) for name in names} | fields)


def _graph(adjacency, classes, *, seed=0, train=(), val=()):
    rng = np.random.default_rng(seed)
    nodes = adjacency.shape[0]
    labels = np.arange(nodes) % classes
    return Graph(
        name="awkward",
        adjacency=adjacency,
        features=rng.normal(size=(nodes, 5)) + np.eye(nodes, 5)[labels],
        labels=labels,
        train=train or np.arange(nodes),
        val=val,
        test=[],
    )


def _duplicates():
    row, column = np.array([[0, 0, 1, 2, 3, 3], [1, 1, 0, 3, 2, 2]])
    indptr = np.searchsorted(row, np.arange(5))
    return csr_array((np.ones(6), column, indptr), shape=(4, 4))


def _directed(nodes=9):
    return csr_array(np.triu(np.random.default_rng(1).random((nodes, nodes)) < 0.4, 1) * 1.0)


AWKWARD = {
    "one node": _graph(csr_array((1, 1)), 1),
    "no edges": _graph(csr_array((6, 6)), 3),
    "isolated nodes": _graph(csr_array(([1.0, 1.0], ([0, 5], [5, 0])), shape=(8, 8)), 2),
    "self loops": _graph(csr_array(np.diag([1.0, 2, 0, 3]) + np.eye(4, k=1) + np.eye(4, k=-1)), 2),
    "duplicate edges": _graph(_duplicates(), 2),
    "directed": _graph(_directed(), 3),
    "weighted": _graph(csr_array(_directed() * 0.37 + 0.01 * _directed().T), 2),
    "one class": _graph(csr_array(np.ones((5, 5))), 1),
    "training node listed twice": _graph(_directed(), 2, train=[4, 4, 1], val=[0, 2]),
}


def write_npz(path, graph, **arrays):
    """Write a graph file; `arrays` replaces parts, or leaves them out where None."""
    features = np.asarray(csr_array(graph.features).toarray())
    parts = {
        "adj_indptr": graph.adjacency.indptr,
        "adj_indices": graph.adjacency.indices,
        "adj_data": graph.adjacency.data,
        "feat": features,
        "labels": graph.labels,
        "train_idx": graph.train,
        "val_idx": graph.val,
        "test_idx": graph.test,
    } | arrays
    np.savez(path, **{name: array for name, array in parts.items() if array is not None})
    return str(path)
