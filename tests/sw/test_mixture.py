# SPDX-License-Identifier: Apache-2.0
"""Dense features on both engines: no bit changes, and the work is really shared."""

from dataclasses import replace

import numpy as np
import pytest
from scipy.sparse import csr_array

from gcnloom.device import open as open_device
from gcnloom.graphs import datasets
from gcnloom.graphs.graph import gcn_norm
from gcnloom.lower.mixture import Load, block_rows, deal
from gcnloom.training.engine import Engine
from gcnloom.training.trainer import Trainer
from gcnloom.training.weights import first_weights
from gcnloom_sim.cycles import predict
from gcnloom_spec.config import AcceleratorConfig
from tests.sw.host import host_options

# A PE holds sums of so few rows that the adjacency comes in row blocks, its operand in tiles.
BLOCKS = AcceleratorConfig(
    pes=4, lanes=4, rows=4, columns=4, memory_bytes=32, operand_depth=256, accumulator_depth=32,
    edge_depth=256, order_depth=256, left_depth=256, right_depth=128, sum_depth=64,
    mask_depth=256,
)  # fmt: skip
WIDE = replace(BLOCKS, columns=8, accumulator_depth=64, left_depth=128)
CONFIGS = {
    "streamed": AcceleratorConfig.from_toml("mul128"),
    "blocks": BLOCKS,
    "wide": WIDE,
    "banks": replace(BLOCKS, operand_banks=8),
    "smallest": AcceleratorConfig.from_toml("smallest"),
}


@pytest.mark.parametrize("in_turn", [False, True])
@pytest.mark.parametrize(("rows", "part", "share"), [(100, 8, 0.4), (64, 64, 0.6), (57, 16, 0.0)])
def test_every_row_is_dealt_once(rows, part, share, in_turn):
    shares = deal(rows, part, share, in_turn=in_turn)
    dealt = sorted((*shares.array, *shares.sparse), key=lambda span: span.start)
    assert [row for span in dealt for row in span] == list(range(rows))
    assert abs(sum(map(len, shares.sparse)) - share * rows) <= part
    assert all(span.start % part == 0 for span in dealt)


def test_parts_are_dealt_in_turn():
    shares = deal(80, 8, 0.5, in_turn=True)
    assert [len(span) for span in shares.array] == [8] * 5
    assert deal(80, 8, 0.5, in_turn=False).array == (range(40),)


@pytest.mark.parametrize("edges", [0, 4000])
def test_both_engines_end_together(edges):
    features = np.ones((1000, 64), dtype=np.int64)
    load = Load.of(features, edges, BLOCKS)
    array, sparse = (1 - load.share) * load.array, load.share * load.sparse + load.beside
    assert load.gains
    assert array == pytest.approx(sparse)


def test_nothing_is_shared_that_gains_nothing():
    features = np.ones((1000, 64), dtype=np.int64)
    assert not Load.of(features, 4 * 16 * 1200, BLOCKS).gains
    assert block_rows(1000, 1, BLOCKS) % BLOCKS.vector.items_per_word == 0


def trained(data, config, **options):
    with open_device("model", config, memory_megabytes=16) as device:
        trainer = Trainer(datasets.load(data, seed=0), host_options(epochs=2, **options), device)
        trainer.run()
        return trainer


@pytest.mark.parametrize("name", CONFIGS)
@pytest.mark.parametrize("sampled", [False, True])
def test_training_keeps_its_bits(name, sampled):
    options = {"hidden": 20, "sampled": sampled, "layers": 3 if name == "blocks" else 2}
    alone, shared = (
        trained("community:300,8,40,5", CONFIGS[name], mixture=mixture, **options)
        for mixture in (False, True)
    )
    expected, found = alone.checkpoint().arrays, shared.checkpoint().arrays
    assert all(np.array_equal(expected[key], found[key]) for key in expected)
    edges, rows = (
        [run.engine.counters["forward"][count] for run in (alone, shared)]
        for count in ("edges", "transform_rows")
    )
    assert edges[0] < edges[1]
    assert rows[0] > rows[1]


def real_logits(graph, weights):
    adjacency = csr_array(gcn_norm(graph.adjacency))
    hidden = np.asarray(graph.features, dtype=np.float64)
    for number, matrix in enumerate(weights):
        hidden = adjacency @ (np.maximum(hidden, 0) if number else hidden) @ matrix
    return hidden


@pytest.mark.parametrize("mixture", [False, True])
@pytest.mark.parametrize("layers", [2, 3])
@pytest.mark.parametrize("name", ["streamed", "blocks", "wide"])
def test_logits_are_those_of_the_real_network(name, layers, mixture):
    """Sums of a product must not get lost when another one runs beside it."""
    graph = datasets.load("community:300,8,40,5", seed=0)
    network = host_options(hidden=24, layers=layers).network(40, graph.classes)
    weights = first_weights(network, 0)
    with open_device("model", CONFIGS[name], memory_megabytes=16) as device:
        logits = Engine(graph, network, device, mixture=mixture).logits(weights)
    expected = real_logits(graph, weights)
    assert np.abs(logits - expected).max() < 0.06 * np.abs(expected).max()


def test_sharing_takes_fewer_cycles():
    graph = datasets.load("community:300,8,40,5", seed=0)
    network = host_options(hidden=32).network(40, graph.classes)
    cycles = {}
    for mixture in (False, True):
        with open_device("model", BLOCKS, memory_megabytes=16) as device:
            engine = Engine(graph, network, device, mixture=mixture)
            cycles[mixture] = predict(engine.lowered.infer, BLOCKS).cycles
    assert cycles[True] < 0.9 * cycles[False]
