# SPDX-License-Identifier: Apache-2.0
"""Blocks of several workers against one worker's, and against a walk from the seeds."""

import numpy as np
import pytest
from scipy.sparse import csr_array

from gcnloom.graphs import datasets
from gcnloom.parallel.communicator import Alone
from gcnloom.parallel.threads import run_threads
from gcnloom.sampling.block import sample_block
from gcnloom.sampling.draws import Draws, owners
from gcnloom.sampling.samplers import Labor, Neighbour
from gcnloom.sampling.topology import Topology
from tests.sw.graphs import AWKWARD

SEED = 5
GRAPHS = {"rmat": datasets.load("rmat:8,8", seed=SEED), **AWKWARD}


def _sampler(kind, graph):
    return kind(topology=Topology.of(graph), fanout=(2, 3), draws=Draws(seed=SEED))


def _matrix(share, nodes):
    """A share's weights between all vertices of the graph."""
    places = share.weights.tocoo()
    row, column = share.targets[places.coords[0]], share.sources[places.coords[1]]
    return csr_array((places.data, (row, column)), shape=(nodes, nodes))


@pytest.mark.parametrize("name", GRAPHS)
@pytest.mark.parametrize("kind", [Labor, Neighbour])
@pytest.mark.parametrize("workers", [2, 3])
def test_shares_add_up_to_one_workers_block(name, kind, workers):
    graph = GRAPHS[name]
    sampler = _sampler(kind, graph)
    whole = sample_block(sampler, graph.train, 2, 7, Alone(), SEED)

    def work(communicator):
        own = owners(SEED, graph.train, workers) == communicator.rank
        return sample_block(sampler, graph.train[own], 2, 7, communicator, SEED)

    blocks = run_threads(workers, work)
    for layer, share in enumerate(whole.layers):
        shares = [block.layers[layer] for block in blocks]
        for field in ("targets", "own"):
            together = np.concatenate([getattr(each, field) for each in shares])
            assert np.array_equal(np.sort(together), getattr(share, field))
        total = sum(_matrix(each, graph.nodes) for each in shares)
        assert not abs(total - _matrix(share, graph.nodes)).nnz
        for rank, each in enumerate(shares):
            for other, sender in enumerate(shares):
                sent = sender.own[sender.sends[rank]]
                assert np.array_equal(sent, each.sources[each.places[other]])


@pytest.mark.parametrize("kind", [Labor, Neighbour])
def test_a_block_is_what_a_walk_from_its_seeds_finds(kind):
    graph = GRAPHS["rmat"]
    sampler, seeds = _sampler(kind, graph), graph.train[:9]
    block = sample_block(sampler, np.concatenate([seeds, seeds[:2]]), 2, 3, Alone())
    assert np.array_equal(block.seeds, np.unique(seeds))
    reached = set(block.seeds.tolist())
    for layer in (2, 1):
        targets = np.array(sorted(reached))
        reached = reached.union(sampler.edges(targets, layer, 3).source.tolist())
        assert reached == set(block.layers[layer - 1].own.tolist())
    assert reached == set(block.inputs.tolist())
