# SPDX-License-Identifier: Apache-2.0
"""Training leaves the same bits whatever fits on chip, and reads nothing that it did not write."""

from dataclasses import replace

import numpy as np
import pytest

from gcnloom.graphs import datasets
from gcnloom.lower.tiling import column_limit
from gcnloom.training.weights import weights_sha256
from gcnloom_spec.config import AcceleratorConfig
from tests.sw.lowering import random_config, random_graph, rubbish, trained

# A few seconds are enough; lowering that waits for what never comes would take for ever.
pytestmark = pytest.mark.timeout(60)

ROOMY = AcceleratorConfig(pes=4, lanes=8, rows=8, columns=8)
"""Everything a small graph needs fits at once."""
MODES = {
    "streamed": ROOMY,
    "banked": replace(ROOMY, operand_banks=8),
    "narrow": replace(ROOMY, lanes=2, columns=4, accumulator_depth=1024, sum_depth=60),
    "kept sums": replace(ROOMY, lanes=2, columns=2, rows=4, sum_depth=2000),
    "in turn": replace(ROOMY, lanes=2, columns=4, accumulator_depth=16),
    "small parts": replace(ROOMY, lanes=2, columns=4, left_depth=50, sum_depth=16, mask_depth=20),
    "stored": replace(ROOMY, lanes=2, columns=6, accumulator_depth=16, operand_depth=140),
    "tiled": replace(ROOMY, lanes=2, columns=4, accumulator_depth=16, operand_depth=48),
}
IN_TURN = ("in turn", "stored", "tiled")
OPTIONS = {"hidden": 11, "epochs": 2, "lr": 0.05, "dropout": 0.0, "sampled": False}


def bits(trainer):
    """Weights and all losses."""
    losses = [(epoch.loss, epoch.val_loss) for epoch in trainer.history]
    return weights_sha256(trainer.weights), losses


@pytest.fixture(scope="module", params=[(True, 3), (True, 2), (False, 2), (False, 1)], ids=str)
def reference(request):
    """Graph, options and the bits they lead to."""
    sparse, layers = request.param
    graph = random_graph(np.random.default_rng(layers), 60, sparse=sparse, directed=layers != 2)
    options = OPTIONS | {"layers": layers}
    return graph, options, bits(trained(graph, ROOMY, options))


@pytest.mark.parametrize("mode", MODES)
def test_products_that_stream_or_come_in_turn_lead_to_the_same_bits(mode, reference, monkeypatch):
    graph, options, expected = reference
    with rubbish(monkeypatch):
        trainer = trained(graph, MODES[mode], options)
    assert bits(trainer) == expected
    lowered = trainer.engine.lowered
    square = [matrix for matrix in lowered.matrices if matrix.name.startswith("adjacency")]
    assert {matrix.streamed for matrix in square} == {mode not in IN_TURN}
    products = [lowered.tensors[f"product{layer + 1}"] for layer in range(options["layers"])]
    # Panels of sparse features' product come one at a time, so that it fits more often.
    assert (products[-1].stored is not None) == (mode in ("stored", "tiled"))
    if mode == "tiled":
        assert any(len(block.tiles) > 1 for block in square[0].schedule.blocks)


@pytest.mark.parametrize("seed", [*range(20), 55, 58])
def test_random_configurations_lead_to_the_bits_of_a_roomy_one(seed, monkeypatch):
    rng = np.random.default_rng(seed)
    graph, config = random_graph(rng), random_config(rng)
    options = {
        "hidden": int(rng.integers(1, 20)), "layers": int(rng.integers(1, 4)), "epochs": 2,
        "lr": 0.05, "dropout": float(rng.choice([0, 0.4])), "sampled": bool(rng.random() < 0.5),
        "rounding": str(rng.choice(["nearest", "stochastic"])),
    }  # fmt: skip
    if column_limit(graph.nodes, config) < graph.nodes:
        # Nodes are reordered where a graph needs tiles, and a node's draws follow its place.
        options |= {"dropout": 0.0, "rounding": "nearest"}
    expected = trained(graph, ROOMY, options)
    with rubbish(monkeypatch):
        found = trained(graph, config, options)
    assert bits(found)[0] == bits(expected)[0]


@pytest.mark.parametrize("sampled", [True, False])
def test_a_product_starts_where_its_input_left_before_it_was_asked_for(sampled, monkeypatch):
    """Of a graph in tiles, the first layer's results leave before the second asks for any."""
    graph = datasets.load("sbm:300,3", seed=0)
    options = OPTIONS | {"hidden": 3, "layers": 2, "sampled": sampled}
    expected = bits(trained(graph, ROOMY, options))
    with rubbish(monkeypatch):
        assert bits(trained(graph, AcceleratorConfig.from_toml("smallest"), options)) == expected
