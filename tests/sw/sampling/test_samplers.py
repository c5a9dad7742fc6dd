# SPDX-License-Identifier: Apache-2.0
"""Samplers against loops over one vertex at a time, and against what their authors promise."""

import numpy as np
import pytest
from scipy.sparse import csr_array
from scipy.stats import kstest

from gcnloom.errors import ConfigError
from gcnloom.graphs import datasets
from gcnloom.graphs.graph import gcn_norm
from gcnloom.sampling.cluster import Cluster, ClusterBatches
from gcnloom.sampling.draws import Draws, owners
from gcnloom.sampling.samplers import Labor, Neighbour, NodeBatches
from gcnloom.sampling.topology import Topology
from tests.sw.sampling import brute

SEED = 11


@pytest.fixture(scope="module")
def graph():
    return datasets.load("rmat:7,12", seed=SEED)


def _sampler(kind, topology, fanout=(3, 5), kappa=1):
    return kind(topology=topology, fanout=fanout, draws=Draws(seed=SEED, kappa=kappa))


def _kept(edges, targets):
    """Sources by target, loops apart."""
    return {
        int(target): sorted(
            int(source) for source in edges.source[edges.target == place] if source != target
        )
        for place, target in enumerate(targets)
    }


@pytest.mark.parametrize(("kind", "reference"), [(Labor, "labor"), (Neighbour, "neighbour")])
@pytest.mark.parametrize(("kappa", "iteration"), [(1, 0), (1, 3), (4, 6)])
@pytest.mark.parametrize("layer", [1, 2])
def test_a_vertex_at_a_time_keeps_the_same_edges(graph, kind, reference, kappa, iteration, layer):
    sampler = _sampler(kind, Topology.of(graph), kappa=kappa)
    targets = np.arange(0, graph.nodes, 3)
    kept = _kept(sampler.edges(targets, layer, iteration), targets)

    def draw(vertex, other):
        # Under LABOR a vertex draws once for all layers.
        number = layer if kind is Neighbour else 0
        return brute.normal(SEED, kappa, iteration, number, vertex, other)

    choose, matrix = getattr(brute, reference), gcn_norm(graph.adjacency)
    assert kept == {
        int(target): choose(matrix, int(target), sampler.fanout[layer - 1], draw)
        for target in targets
    }


@pytest.mark.parametrize("kind", [Labor, Neighbour])
def test_what_is_kept_of_a_vertex_does_not_depend_on_the_others(graph, kind):
    sampler = _sampler(kind, Topology.of(graph))
    targets = np.random.default_rng(SEED).permutation(graph.nodes)
    whole = _kept(sampler.edges(targets, 1, 2), targets)
    for part in np.array_split(targets, 5):
        assert _kept(sampler.edges(part, 1, 2), part).items() <= whole.items()


@pytest.mark.parametrize("kind", [Labor, Neighbour])
def test_a_fanout_beyond_every_degree_is_the_whole_adjacency(graph, kind):
    sampler = _sampler(kind, Topology.of(graph), fanout=(graph.nodes,))
    targets = np.arange(graph.nodes)
    edges = sampler.edges(targets, 1, 0)
    matrix = csr_array((edges.weight, (edges.target, edges.source)), shape=(graph.nodes,) * 2)
    assert abs(matrix - gcn_norm(graph.adjacency)).max() < 1e-15


def test_neighbours_aggregate_without_bias(graph):
    """The mean of many samples of A x comes to A x, within four standard errors."""
    sampler, matrix = _sampler(Neighbour, Topology.of(graph)), gcn_norm(graph.adjacency)
    rng = np.random.default_rng(SEED)
    features = rng.normal(size=graph.nodes)
    targets = np.arange(graph.nodes)
    rows = []
    for iteration in range(400):
        edges = sampler.edges(targets, 1, iteration)
        rows.append(np.bincount(edges.target, edges.weight * features[edges.source]))
    error = np.std(rows, axis=0) / np.sqrt(len(rows))
    off = np.abs(np.mean(rows, axis=0) - matrix @ features)
    assert (off <= 4.5 * error + 1e-12).all(), f"seed {SEED}"


def test_labor_keeps_as_many_edges_on_average_and_fewer_vertices(graph):
    topology, targets = Topology.of(graph), np.arange(40)
    fanout = 4
    expected = np.minimum(fanout, topology.degree(targets)).sum()
    counts = {}
    for kind in (Labor, Neighbour):
        sampler = _sampler(kind, topology, fanout=(fanout,))
        samples = [sampler.edges(targets, 1, iteration) for iteration in range(200)]
        edges = np.array([len(each.source) - len(targets) for each in samples])
        assert abs(edges.mean() - expected) <= 4 * edges.std() / np.sqrt(len(edges)) + 1e-9
        counts[kind] = np.mean([len(np.unique(each.source)) for each in samples])
    assert counts[Labor] < 0.95 * counts[Neighbour]


@pytest.mark.parametrize("kappa", [1, 4, 64])
def test_dependent_draws_are_uniform_and_correlate_as_they_should(kappa):
    vertices = np.arange(100_000)
    iteration = 3 * kappa // 2
    draws = Draws(seed=SEED, kappa=kappa)
    now, then = (draws.normals(iteration + lag, 1, vertices) for lag in (0, 1))
    assert kstest(now, "norm").pvalue > 0.01
    wanted = np.cos(np.pi / (2 * kappa))
    assert abs(np.corrcoef(now, then)[0, 1] - wanted) < 0.01
    gone = draws.normals(iteration + 2 * kappa, 1, vertices)
    assert abs(np.corrcoef(now, gone)[0, 1]) < 0.02


def test_an_epoch_takes_every_training_node_once():
    train = np.array([4, 9, 9, 2, 7, 30, 11])
    batches = NodeBatches(train, 3, SEED)
    assert batches.per_epoch == 3
    for epoch in (0, 1):
        parts = [batches.parts(3 * epoch + number, 2) for number in range(3)]
        taken = np.concatenate([part for both in parts for part in both])
        assert sorted(taken) == sorted(train)
    assert any(
        not np.array_equal(batches.parts(number, 1)[0], batches.parts(3 + number, 1)[0])
        for number in range(3)
    )


def test_owners_are_even():
    count = np.bincount(owners(SEED, np.arange(8000), 8), minlength=8)
    assert count.min() > 900 and count.max() < 1100


@pytest.mark.parametrize("kappa", [0, -1, 1.5])
def test_kappa_counts_iterations(kappa):
    with pytest.raises(ConfigError, match="kappa"):
        Draws(seed=0, kappa=kappa)


def test_a_fanout_of_none_is_refused(graph):
    with pytest.raises(ConfigError, match="fanout"):
        _sampler(Labor, Topology.of(graph), fanout=(0,))


def test_clusters_are_normalised_for_themselves(graph):
    membership = np.random.default_rng(SEED).integers(6, size=graph.nodes)
    batches = ClusterBatches(membership, graph.train, 2, 2, SEED)
    seen = []
    for iteration in range(batches.per_epoch):
        for rank, clusters in enumerate(batches.clusters(iteration, 2)):
            inside = np.flatnonzero(np.isin(membership, clusters))
            if not len(inside):
                continue
            edges = Cluster(graph, membership, batches, (rank, 2)).edges(inside, 1, iteration)
            matrix = csr_array((edges.weight, (edges.target, edges.source)), (graph.nodes,) * 2)
            wanted = gcn_norm(graph.adjacency[inside][:, inside])
            assert abs(matrix[: len(inside)][:, inside] - wanted).max() < 1e-15
            assert matrix.nnz == wanted.nnz
        seen += batches.parts(iteration, 2)
        assert np.array_equal(
            *(np.sort(np.concatenate(batches.parts(iteration, n))) for n in (1, 2))
        )
    assert np.array_equal(np.sort(np.concatenate(seen)), np.sort(graph.train))
