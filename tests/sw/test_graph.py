# SPDX-License-Identifier: Apache-2.0
"""Graphs are checked with clear errors; normalisation equals a dense second formulation."""

import numpy as np
import pytest
from scipy.sparse import coo_array, csr_array

from gcnloom.errors import DataError
from gcnloom.graphs.graph import Graph, gcn_norm


def make(**change):
    values = {
        "name": "toy",
        "adjacency": csr_array(np.array([[0.0, 1.0, 0.0], [1.0, 0.0, 0.0], [0.0, 0.0, 0.0]])),
        "features": np.eye(3),
        "labels": np.array([0, 1, -1]),
        "train": np.array([0, 1, 1]),
        "val": np.array([1]),
        "test": np.array([0], dtype=np.int32),
    }
    return Graph(**(values | change))


def dense_norm(edges, nodes):
    """PyTorch Geometric's gcn_norm on an edge list (target, source, weight), in loops."""
    matrix = np.zeros((nodes, nodes))
    for target, source, weight in edges:
        matrix[target, source] += weight
    loops = {target for target, source, _ in edges if target == source}
    for node in range(nodes):
        matrix[node, node] = matrix[node, node] if node in loops else 1.0
    result = np.zeros_like(matrix)
    for i in range(nodes):
        for j in range(nodes):
            product = matrix[i].sum() * matrix[j].sum()
            result[i, j] = matrix[i, j] / np.sqrt(product) if product else 0.0
    return result


@pytest.mark.parametrize("seed", range(6))
def test_gcn_norm_equals_a_dense_implementation(seed):
    rng = np.random.default_rng(seed)
    nodes = int(rng.integers(1, 14))
    edges = [
        (int(rng.integers(nodes)), int(rng.integers(nodes)), float(rng.random()))
        for _ in range(rng.integers(0, 40))
    ]  # directed, weighted, with duplicates, loops and isolated nodes
    target, source, weight = np.array(edges).reshape(-1, 3).T
    matrix = coo_array((weight, (target.astype(int), source.astype(int))), shape=(nodes, nodes))
    assert np.allclose(gcn_norm(matrix).toarray(), dense_norm(edges, nodes), rtol=1e-13)


def test_a_loop_that_cancels_the_degree_gives_zero_and_not_infinity():
    matrix = csr_array(np.array([[0.0, 1.0], [2.0, -2.0]]))
    assert np.isfinite(gcn_norm(matrix).toarray()).all()
    assert np.array_equal(gcn_norm(matrix).toarray()[1], [0.0, 0.0])


def test_a_stored_loop_of_zero_weight_is_not_replaced():
    matrix = coo_array(([0.0, 1.0], ([0, 0], [0, 1])), shape=(2, 2))
    assert gcn_norm(matrix).toarray()[0, 0] == 0.0


def test_negative_degrees_are_refused():
    with pytest.raises(DataError, match="into node 1 sum to -2"):
        gcn_norm(csr_array(np.array([[0.0, 1.0], [1.0, -3.0]])))


def test_one_node_without_edges_is_a_graph():
    graph = make(
        adjacency=csr_array((1, 1)), features=[[2.0]], labels=[0], train=[0], val=[], test=[0]
    )
    assert (graph.nodes, graph.classes) == (1, 1)
    assert gcn_norm(graph.adjacency).toarray().tolist() == [[1.0]]


def test_duplicate_edges_are_added_up():
    twice = coo_array(([1.0, 2.5], ([0, 0], [1, 1])), shape=(3, 3))
    assert make(adjacency=twice).adjacency.toarray()[0, 1] == 3.5


def test_the_caller_keeps_its_own_arrays():
    adjacency = csr_array(np.eye(3))
    graph = make(adjacency=adjacency)
    graph.adjacency.data[:] = 7
    assert adjacency.toarray()[0, 0] == 1.0


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"features": [[1.0, 0], [0, np.nan], [0, 1]]}, r"features\[1, 1\] is nan, one of 1"),
        (
            {"features": csr_array(np.array([[0.0], [0.0], [np.inf]]))},
            r"features\[2, 0\] is inf, one of 1",
        ),
        (
            {"adjacency": csr_array(np.array([[0, 0, 0], [np.nan, 0, 0], [0, 0, 0.0]]))},
            r"adjacency\[1, 0\] is nan",
        ),
        ({"labels": [0, -2, 1]}, "label -2 of node 1 is no class"),
        ({"labels": [-1, -1, -1]}, "no node has a label"),
        ({"labels": [0.5, 1, 1]}, "labels is float64"),
        ({"train": [0, 3]}, r"train names node 3; try indices within 0\.\.2"),
        ({"val": [-1]}, "val names node -1"),
        ({"test": [2]}, "test names node 2, whose label is -1"),
        ({"features": np.eye(4)}, r"shape \(4, 4\) but the adjacency is 3 x 3"),
        ({"features": np.zeros((3, 0))}, "nodes have no features"),
        ({"labels": [0, 1]}, r"labels have shape \(2,\) but the adjacency is 3 x 3"),
        ({"adjacency": csr_array((3, 2))}, "adjacency is 3 x 2; try a square"),
        ({"adjacency": csr_array((0, 0))}, "the graph has no nodes"),
    ],
)
def test_what_cannot_be_trained_on_is_named(change, message):
    with pytest.raises(DataError, match=message) as caught:
        make(**change)
    assert str(caught.value).startswith("toy: ")
    assert caught.value.remedy
