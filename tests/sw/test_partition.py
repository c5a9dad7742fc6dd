# SPDX-License-Identifier: Apache-2.0
"""Orders are permutations that gather neighbours; blocks and tiles cover everything once."""

import numpy as np
import pytest
from scipy.sparse import csr_array

from gcnloom.graphs.partition import blocks, node_order, tiles


def two_shuffled_cliques(size, seed):
    rng = np.random.default_rng(seed)
    side = rng.permutation(np.repeat([0, 1], size))
    return csr_array((side[:, None] == side[None, :]).astype(float)), side


@pytest.mark.parametrize("metis", [True, False])
def test_an_order_gathers_the_members_of_a_clique(metis):
    if metis:
        pytest.importorskip("pymetis")
    adjacency, side = two_shuffled_cliques(12, seed=4)
    order = node_order(adjacency, 2, metis=metis)
    assert sorted(order) == list(range(24))
    assert np.count_nonzero(np.diff(side[order])) == 1
    assert np.array_equal(order, node_order(adjacency, 2, metis=metis))


@pytest.mark.parametrize("metis", [True, False])
@pytest.mark.parametrize("nodes", [1, 5])
def test_directed_and_edgeless_graphs_have_an_order(metis, nodes):
    if metis:
        pytest.importorskip("pymetis")
    directed = csr_array(np.triu(np.ones((nodes, nodes))))
    for adjacency in (directed, csr_array((nodes, nodes))):
        for parts in {1, (nodes + 1) // 2}:
            order = node_order(adjacency, parts, metis=metis)
            assert sorted(order) == list(range(nodes))


def test_more_parts_than_nodes_are_refused():
    with pytest.raises(ValueError, match=r"parts=4 is outside 1\.\.3"):
        node_order(csr_array((3, 3)), 4)


@pytest.mark.parametrize(("total", "size"), [(1, 1), (7, 3), (6, 3), (2, 9), (0, 4)])
def test_blocks_cover_a_range_once(total, size):
    cut = blocks(total, size)
    assert [item for block in cut for item in block] == list(range(total))
    assert all(len(block) == size for block in cut[:-1])


def test_tiles_cover_a_matrix_once():
    count = np.zeros((7, 10), dtype=int)
    for rows, columns in tiles((7, 10), 3, 4):
        assert len(rows) <= 3 and len(columns) <= 4
        count[rows.start : rows.stop, columns.start : columns.stop] += 1
    assert (count == 1).all()


def test_blocks_of_nothing_are_refused():
    with pytest.raises(ValueError, match="size=0"):
        blocks(3, 0)
