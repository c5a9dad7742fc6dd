# SPDX-License-Identifier: Apache-2.0
"""Sampled training does less work than the whole passes, and leaves the same bits."""

from dataclasses import asdict, replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from scipy.sparse import csr_array

from gcnloom.device import open as open_device
from gcnloom.graphs import datasets
from gcnloom.graphs.graph import Graph
from gcnloom.layers import Network
from gcnloom.training.engine import Engine
from gcnloom.training.trainer import Trainer
from tests.sw.graphs import AWKWARD, block_model, changed
from tests.sw.host import host_options

CORA = Path(__file__).parents[3] / "shared" / "datasets" / "cora.npz"
STEPS = {"hidden": 5, "epochs": 3, "lr": 0.05}


def directed(nodes=90, *, loud=False):
    """Random directed graph with isolated nodes and three training nodes, dense features.

    Its `loud` kind has features in the nodes at the end that are larger by far: whoever lets
    them into a statistic gets other shifts.
    """
    rng = np.random.default_rng(6)
    edges = np.triu(rng.random((nodes, nodes)) < 0.05, 1) * 1.0
    edges[::7] = 0
    features = rng.normal(size=(nodes, 9))
    features[nodes // 2 :] *= 30 if loud else 1
    # Nodes listen to the next ones: those at the end are far from the first.
    edges *= np.arange(nodes)[None, :] < np.arange(nodes)[:, None] + nodes // 4
    labels = rng.integers(3, size=nodes)
    return Graph(
        name="directed", adjacency=csr_array(edges), features=features, labels=labels,
        train=[5, 31, 18, 5], val=np.arange(20, nodes), test=np.arange(40),
    )  # fmt: skip


def graph_of(name):
    """Graph by name; `datasets` knows those with a colon."""
    made = {"directed": directed, "loud": lambda: directed(loud=True)}
    if name in made:
        return made[name]()
    if name in AWKWARD:
        return changed(AWKWARD[name], train=[0], val=[AWKWARD[name].nodes - 1])
    return datasets.load(name, seed=0)


def trained(graph, device, options):
    with open_device(device, memory_megabytes=16) as opened:
        trainer = Trainer(graph, host_options(**options), opened)
        trainer.run()
    return trainer


def traces(trainer):
    """All that a training tells, but for the cycles, which gateware counts."""
    state = trainer.checkpoint()
    arrays = {name: array.tobytes() for name, array in state.arrays.items()}
    history = [asdict(replace(epoch, cycles=0)) for epoch in trainer.history]
    return arrays, history, state.meta["scales"], trainer.engine.clipped["forward"]


def work(trainer, name):
    """Multiplications that a pass executed, padding included, in one run."""
    counters, sizes = trainer.engine.counters[name], trainer.engine.device.config
    total = counters["edges"] * sizes.lanes
    total += counters["transform_rows"] * sizes.rows * sizes.columns
    return total / trainer.engine.runs[name]


CASES = [
    ("directed", "odd", {"dropout": 0.4, "rounding": "stochastic"}),
    ("directed", "smallest", {"dropout": 0.0, "layers": 3}),
    ("loud", "odd", {"dropout": 0.25, "layers": 1}),
    ("loud", "demo", {"dropout": 0.0, "rounding": "stochastic"}),
    ("loud", "tall", {"dropout": 0.5, "layers": 3}),
    ("loud", "short", {"dropout": 0.5}),
    ("loud", "wide", {"dropout": 0.25, "rounding": "stochastic", "hidden": 17}),
    ("sbm:300,3", "mul144", {"dropout": 0.5, "rounding": "stochastic"}),
    # Larger than the operand memories: tiles, and products that do not pass through the fabric.
    ("sbm:300,3", "smallest", {"dropout": 0.25, "rounding": "stochastic", "hidden": 3}),
    ("sbm:700,3", "odd", {"dropout": 0.25, "rounding": "stochastic", "hidden": 10}),
    ("sbm:300,3", "banked", {"dropout": 0.25, "rounding": "stochastic", "hidden": 5}),
    ("rmat:10,4", "banked", {"dropout": 0.5, "layers": 3}),
    ("rmat:10,4", "odd", {"dropout": 0.5, "layers": 3, "rounding": "stochastic"}),
    ("rmat:10,4", "demo", {"dropout": 0.25}),
    ("digits", "demo", {"dropout": 0.25, "rounding": "stochastic", "epochs": 2}),
    ("sbm:300,3", "tall", {"dropout": 0.25, "rounding": "stochastic"}),
]


@pytest.mark.parametrize(
    ("name", "config", "options"), CASES, ids=[f"{name}-{config}" for name, config, _ in CASES]
)
def test_sampled_and_whole_training_leave_the_same_bits(name, config, options):
    graph, device = graph_of(name), f"model:{config}"
    sampled = trained(graph, device, STEPS | options)
    whole = trained(graph, device, STEPS | options | {"sampled": False})
    assert traces(sampled) == traces(whole)
    for part in ("forward", "backward"):
        assert work(sampled, part) < work(whole, part)
    assert work(sampled, "infer") == work(whole, "infer")


@pytest.mark.parametrize("layers", [1, 2, 3])
@pytest.mark.parametrize("name", AWKWARD)
def test_awkward_graphs_with_one_training_node_leave_the_same_bits(name, layers):
    options = {"hidden": 3, "epochs": 2, "layers": layers, "dropout": 0.5, "seed": 4}
    graph = graph_of(name)
    runs = [trained(graph, "model:odd", options | {"sampled": on}) for on in (True, False)]
    assert traces(runs[0]) == traces(runs[1])


def test_where_all_nodes_train_the_programs_are_those_of_whole_passes():
    graph = changed(block_model(60), train=np.arange(60), val=[])
    sampled, whole = (trained(graph, "model:odd", STEPS | {"sampled": on}) for on in (True, False))
    for name in ("forward", "backward", "infer"):
        assert getattr(sampled.engine.lowered, name) == getattr(whole.engine.lowered, name)
    assert np.array_equal(sampled.engine.graph.order, np.arange(60))


@pytest.mark.parametrize("sampled", [True, False])
def test_features_that_the_loss_does_not_see_change_nothing(sampled):
    graph, options = directed(), STEPS | {"dropout": 0.25, "sampled": sampled, "layers": 2}
    before = trained(graph, "model:odd", options)
    outside = before.engine.graph.order[before.engine.graph.seen[0] :]
    assert len(outside) > 20
    features = graph.features.copy()
    # Far from zero, but no larger than the largest, so that features keep their exponent.
    features[outside] = abs(features).max()
    after = trained(changed(graph, features=features), "model:odd", options)
    for one, other in zip(before.weights, after.weights, strict=True):
        assert np.array_equal(one, other)
    assert [epoch.val_loss for epoch in before.history] != [e.val_loss for e in after.history]


def test_only_training_nodes_have_logits_in_a_sampled_pass():
    graph = directed()
    network = Network(widths=(9, 4, 3))
    weights = [np.ones(shape) for shape in pairwise(network.widths)]
    known = np.isin(np.arange(graph.nodes), graph.train)
    with open_device("model:odd", memory_megabytes=1) as device:
        engine = Engine(graph, network, device)
        logits = engine.forward(weights, step=0, training=True)
        assert np.isfinite(engine.forward(weights, step=0, training=False)).all()
        whole = Engine(graph, network, device, sampled=False)
        expected = whole.forward(weights, step=0, training=True)
    assert np.isnan(logits[~known]).all()
    assert np.isfinite(expected).all()
    assert np.array_equal(logits[known], expected[known])


@pytest.mark.parametrize("first", [True, False])
def test_a_training_resumes_with_the_other_setting_to_the_same_bits(first):
    graph, options = directed(loud=True), STEPS | {"epochs": 4, "sampled": first}
    half = trained(graph, "model:odd", options | {"epochs": 2}).checkpoint()
    with open_device("model:odd", memory_megabytes=16) as device:
        trainer = Trainer(graph, host_options(**options | {"sampled": not first}), device)
        trainer.restore(half)
        trainer.run()
    assert traces(trainer)[:3] == traces(trained(graph, "model:odd", options))[:3]


@pytest.mark.skipif(not CORA.exists(), reason=f"{CORA} is not here")
def test_cora_needs_fewer_than_half_of_its_multiplications():
    graph = datasets.load(str(CORA))
    sampled, whole = (
        trained(graph, "model:demo", {"epochs": 3, "sampled": on}) for on in (True, False)
    )
    assert traces(sampled) == traces(whole)
    assert sampled.engine.graph.seen == (1664, 644, 140)
    needed, every = (
        macs["forward"] + macs["backward"]
        for macs in (whole.engine.lowered.unsampled_macs, sampled.engine.lowered.necessary_macs)
    )
    print(f"Cora, hidden 16: {every:,} of {needed:,} MACs an epoch are needed")
    assert (every, needed) == (1_352_684, 3_094_944)
    executed = [work(one, "forward") + work(one, "backward") for one in (sampled, whole)]
    assert executed[0] < 0.45 * executed[1]


@pytest.mark.sim
def test_gateware_leaves_the_bits_of_the_model_either_way():
    graph, options = directed(loud=True), STEPS | {"rounding": "stochastic", "dropout": 0.25}
    expected = traces(trained(graph, "model:smallest", options))
    for sampled in (True, False):
        options |= {"sampled": sampled}
        assert traces(trained(graph, "rtl:smallest", options)) == expected
