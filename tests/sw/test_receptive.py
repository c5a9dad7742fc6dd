# SPDX-License-Identifier: Apache-2.0
"""Receptive fields are what powers of the adjacency reach, and prefixes in their order."""

import numpy as np
import pytest
from scipy.sparse import csr_array

from gcnloom.device import open as open_device
from gcnloom.graphs import datasets
from gcnloom.graphs.graph import gcn_norm
from gcnloom.graphs.receptive import ReceptiveField
from gcnloom.layers import Network
from gcnloom.training.engine import Engine
from tests.sw.graphs import block_model, changed


def reached(adjacency, nodes, steps):
    """Whether a walk of up to `steps` edges from `nodes`, target to source, ends at each node."""
    seen = np.zeros(adjacency.shape[0])
    seen[nodes] = 1
    looped = (adjacency != 0).toarray() * 1.0 + np.eye(len(seen))
    return np.linalg.matrix_power(looped.T, steps) @ seen > 0


@pytest.mark.parametrize("layers", [1, 2, 3, 5])
@pytest.mark.parametrize("seed", range(4))
def test_each_layer_is_seen_as_far_as_walks_reach(seed, layers):
    rng = np.random.default_rng(seed)
    adjacency = csr_array((rng.random((40, 40)) < 0.03) * rng.normal(size=(40, 40)))
    nodes = rng.integers(40, size=3)
    field = ReceptiveField.of(adjacency, nodes, layers)
    order = field.sort(rng.permutation(40))
    assert sorted(order) == list(range(40))
    for layer in range(layers + 1):
        seen = reached(adjacency, nodes, layers - layer)
        assert field.rows[layer] == np.count_nonzero(seen)
        assert set(order[: field.rows[layer]]) == set(np.flatnonzero(seen))


def test_an_edge_points_from_its_target_to_its_source():
    # Node 0 listens to 1, and 1 to 2.
    adjacency = csr_array(np.array([[0, 1, 0], [0, 0, 1], [0, 0, 0]]))
    assert ReceptiveField.of(adjacency, np.array([0]), 1).rows == (2, 1)
    assert ReceptiveField.of(adjacency, np.array([2]), 2).ring.tolist() == [3, 3, 0]


def test_an_edge_of_weight_zero_is_none_and_no_nodes_are_all():
    adjacency = csr_array((np.array([1, 0]), np.array([1, 2]), np.array([0, 2, 2, 2])))
    assert ReceptiveField.of(adjacency, np.array([0]), 2).rows == (2, 2, 1)
    assert adjacency.nnz == 2
    assert ReceptiveField.of(adjacency, np.zeros(0, dtype=np.int64), 2).rows == (3, 3, 3)


def test_within_a_ring_the_order_is_kept():
    field = ReceptiveField.of(csr_array((6, 6)), np.array([4, 1]), 1)
    assert field.sort(np.array([5, 4, 3, 2, 1, 0])).tolist() == [4, 1, 5, 3, 2, 0]


@pytest.mark.parametrize(("data", "config"), [("rmat:9,2", "smallest"), ("rmat:13,2", "odd")])
def test_a_devices_rows_are_ordered_by_ring_and_large_graphs_within_it(data, config):
    graph = datasets.load(data, seed=0)
    network = Network(widths=(graph.features.shape[1], 4, graph.classes))
    with open_device(f"model:{config}", memory_megabytes=16) as device:
        lowered = Engine(graph, network, device).graph
    for layer, rows in enumerate(lowered.seen):
        seen = reached(gcn_norm(graph.adjacency), graph.train, 2 - layer)
        assert set(lowered.order[:rows]) == set(np.flatnonzero(seen))
    rings = np.split(lowered.order, sorted({*lowered.seen}))
    kept = all((np.diff(ring) > 0).all() for ring in rings)
    assert kept == (graph.nodes < 5000)
    alone = np.diff(graph.adjacency.indptr)[rings[-2 if not len(rings[-1]) else -1]] == 0
    assert alone.any() and (kept or (np.diff(alone.astype(int)) >= 0).all())


def test_a_graph_without_training_nodes_can_be_lowered():
    graph = changed(block_model(), train=[])
    network = Network(widths=(graph.features.shape[1], 4, graph.classes))
    with open_device("model:odd", memory_megabytes=4) as device:
        assert Engine(graph, network, device).graph.seen == (40, 40, 40)
