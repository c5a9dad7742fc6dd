# SPDX-License-Identifier: Apache-2.0
"""Bytes between workers are what the formulae say, and mixture of parallelism deals evenly."""

import numpy as np
import pytest
from scipy.sparse import csr_array

from gcnloom.graphs import datasets
from gcnloom.graphs.partition import node_parts
from gcnloom.parallel.costs import Volume, all_reduce_bytes, mop_bytes, remote_rows
from gcnloom.parallel.memory import HELD
from gcnloom.parallel.summary import imbalance
from tests.sw.graphs import block_model
from tests.sw.parallel.workers import options, together

ONCE = {"forward": 1, "backward": 1, "infer": 1}


def _summary(graph, mode, workers, **changes):
    return together(graph, options(**changes), mode=mode, workers=workers)[0][1]


@pytest.mark.parametrize("mode", ["mop", "partition"])
@pytest.mark.parametrize(
    ("workers", "change"), [(2, {}), (4, {"sampled": False}), (3, {"layers": 3, "hidden": 6})]
)
def test_measured_bytes_are_those_of_the_formula(mode, workers, change):
    graph = block_model(48, 4)
    moved = _summary(graph, mode, workers, **change)["bytes_per_epoch"]
    for kind, numbers in moved.items():
        assert numbers["measured"] == pytest.approx(numbers["formula"], rel=0.01), kind
    if mode == "partition" or not change.get("sampled", True):
        # Nothing is left over where shares are equal, nor where rows are counted.
        assert all(numbers["measured"] == numbers["formula"] for numbers in moved.values())


def test_layers_that_are_alike_move_the_textbook_figure():
    """4 L N D b (1 - 1/P), the results of the last layer as operands too."""
    volume = Volume(
        widths=(16, 16, 16), rows=(100,) * 3, nodes=100, workers=4, operand_bytes=1, sum_bytes=1
    )
    moved = mop_bytes(volume, ONCE, val=False)
    switched = sum(moved[kind] for kind in ("activations", "logits", "gradients"))
    assert switched == 4 * 2 * 100 * 16 * 1 * (1 - 1 / 4)
    assert moved["weights"] == all_reduce_bytes(2 * 16 * 16, 1, 4)


def test_bytes_of_a_worker_fall_as_one_over_their_number():
    def each(workers):
        volume = Volume(
            widths=(8, 8), rows=(64, 64), nodes=64, workers=workers, operand_bytes=1, sum_bytes=4
        )
        return mop_bytes(volume, ONCE, val=False)["gradients"] / workers

    shares = [each(workers) / (1 - 1 / workers) * workers for workers in (2, 4, 8, 16)]
    assert shares == [shares[0]] * 4


def test_remote_rows_are_those_a_dense_count_finds():
    rng = np.random.default_rng(5)
    dense = (rng.random((30, 20)) < 0.2) * 1
    membership = rng.integers(0, 4, 30)
    counted = sum(
        int(dense[np.ix_(membership == worker, membership[:20] != worker)].any(axis=0).sum())
        for worker in range(4)
    )
    assert remote_rows(csr_array(dense), membership) == counted


@pytest.mark.parametrize("workers", [2, 4, 8])
def test_mixture_of_parallelism_deals_a_power_law_graph_evenly(workers):
    graph, settings = datasets.load("rmat:8,8", seed=1), options(epochs=1, sampled=False)
    mop, metis = (
        together(graph, settings, mode=mode, workers=workers, spec="model:mul144")[0][1]
        for mode in ("mop", "partition")
    )
    print({name: (ratio, metis["imbalance"][name]) for name, ratio in mop["imbalance"].items()})
    assert max(mop["imbalance"].values()) <= 1.02
    assert metis["imbalance"]["sparse_macs"] > mop["imbalance"]["sparse_macs"]


def test_macs_of_all_workers_are_those_of_one_device():
    graph = block_model(48, 4)
    for mode in ("mop", "partition"):
        done = together(graph, options(epochs=1), mode=mode, workers=3)
        engine, total = done[0][0].engine, done[0][1]["per_worker"]
        necessary = engine.necessary_macs
        assert sum(total["sparse_macs"]) + sum(total["dense_macs"]) == (
            necessary["forward"] + necessary["backward"]
        )


def test_parts_are_of_like_size_and_the_same_again():
    graph = block_model(60, 3)
    parts = node_parts(graph.adjacency, 4)
    assert np.array_equal(parts, node_parts(graph.adjacency, 4))
    assert imbalance(np.bincount(parts, minlength=4).tolist()) < 1.3
    assert not node_parts(graph.adjacency, 1).any()
    assert imbalance([0, 0]) == 1.0


@pytest.mark.parametrize("mode", ["mop", "partition"])
def test_memory_is_what_devices_handed_out(mode):
    found = together(block_model(50, 4), options(sampled=False), mode=mode, workers=3)
    memory = found[0][1]["memory"]
    for rank, (trainer, numbers) in enumerate(found):
        assert numbers["memory"] == memory
        device = trainer.engine.device
        peak = memory["peak"][rank]
        assert peak == device.memory.used * device.config.memory_bytes
        assert peak == sum(memory[kind][rank] for kind in HELD)
        assert all(memory[kind][rank] > 0 for kind in HELD)
