# SPDX-License-Identifier: Apache-2.0
"""Models, depths and residuals train to the same bits everywhere; what cannot be is refused."""

from functools import cache

import numpy as np
import pytest
from scipy.sparse import csr_array

from gcnloom.device import open as open_device
from gcnloom.errors import CheckpointError, ConfigError, DataError
from gcnloom.estimator import GCN
from gcnloom.graphs.aggregation import mean_norm
from gcnloom.layers import Network
from gcnloom.parallel.trainer import check_mode
from gcnloom.training.checkpoint import load_checkpoint, save_checkpoint
from gcnloom.training.device_trainer import trainer_for
from gcnloom.training.options import Options
from gcnloom.training.weights import first_weights, weights_sha256
from tests.sw.graphs import AWKWARD, block_model, changed

KINDS = {
    "residual": {"layers": 3, "residual": True},
    "sage": {"model": "sage", "layers": 3, "residual": True},
    "gin": {"model": "gin", "layers": 1, "epsilon": 0.5},
}
HOST = {"update": "host", "optimiser": "adam", "lr": 0.02}


@cache
def directed(nodes=24):
    """A graph of which the loss sees a part; most edges lead one way."""
    graph = block_model(nodes=nodes, classes=3, seed=5)
    kept = graph.adjacency.toarray() * (np.random.default_rng(2).random((nodes, nodes)) < 0.4)
    return changed(graph, adjacency=csr_array(kept), train=graph.train[:4], name="directed")


def trainer_of(graph, config="odd", *, resumed=None, **options):
    settings = Options(**{"epochs": 1, "hidden": 5, "dropout": 0.4, "seed": 5} | options)
    with open_device(f"model:{config}", memory_megabytes=4) as device:
        trainer = trainer_for(graph, settings, device)
        if resumed is not None:
            trainer.restore(resumed)
        trainer.run()
    return trainer


@pytest.mark.parametrize(
    ("kind", "update"), [("sage", "host"), ("gin", "host"), *((kind, "device") for kind in KINDS)]
)
def test_every_configuration_leaves_the_same_weights(kind, update):
    options = KINDS[kind] | {"rounding": "stochastic"} | (HOST if update == "host" else {})
    found = {
        weights_sha256(trainer_of(directed(), config, sampled=sampled, **options).weights)
        for config, sampled in (("smallest", True), ("banked", True), ("demo", False))
    }
    assert len(found) == 1


@pytest.mark.parametrize("update", ["host", "device"])
@pytest.mark.parametrize("layers", [3, 4])
def test_deep_networks_learn_in_both_places(layers, update):
    options = {"layers": layers, "epochs": 6, "dropout": 0.0, "hidden": 8, "lr": 0.2}
    trainer = trainer_of(block_model(), "demo", update=update, **options)
    losses = [epoch.loss for epoch in trainer.history]
    assert losses[-1] < losses[0], losses
    assert [array.shape for array in trainer.weights] == [*trainer.engine.network.weight_shapes]


@pytest.mark.parametrize("kind", KINDS)
def test_a_resumed_training_ends_with_the_same_bits(kind, tmp_path):
    whole = trainer_of(directed(), epochs=2, **KINDS[kind])
    part = trainer_of(directed(), epochs=1, **KINDS[kind])
    save_checkpoint(tmp_path / "part.npz", part.checkpoint())
    resumed = load_checkpoint(tmp_path / "part.npz")
    rest = trainer_of(directed(), epochs=2, resumed=resumed, **KINDS[kind])
    assert weights_sha256(rest.weights) == weights_sha256(whole.weights)


def test_a_checkpoint_without_a_model_is_of_a_gcn():
    checkpoint = trainer_of(directed()).checkpoint()
    for name in ("model", "residual", "epsilon"):
        del checkpoint.meta["options"][name]
    assert len(trainer_of(directed(), epochs=2, resumed=checkpoint).history) == 2
    with pytest.raises(CheckpointError, match="model='gcn' not 'sage'"):
        trainer_of(directed(), model="sage", epochs=2, resumed=checkpoint)


def test_the_identity_of_a_residual_layer_stays_what_it_is():
    first, last = (
        trainer_of(directed(), "demo", epochs=epochs, **KINDS["residual"])._training.masters[1]
        for epochs in (1, 3)
    )
    assert np.allclose(first.real[5:], np.eye(5), atol=1e-3)  # 16 bits of 1 / 0.6
    assert np.array_equal(first.weights[5:], last.weights[5:])
    assert not last.momenta[5:].any()
    assert last.momenta[:5].any() and (first.weights != last.weights)[:5].any()


def test_root_weights_of_a_residual_layer_begin_with_the_identity():
    settings = Options(**KINDS["sage"], hidden=5)
    plain = Options(**KINDS["sage"] | {"residual": False}, hidden=5)
    with_it, without = (first_weights(each.network(9, 3), 1) for each in (settings, plain))
    assert [array.shape for array in with_it] == [(18, 5), (10, 5), (10, 3)]
    apart = [a - b for a, b in zip(with_it, without, strict=True)]
    assert np.allclose(apart[1], np.vstack([np.zeros((5, 5)), np.eye(5)]), atol=1e-15)
    assert not apart[0].any() and not apart[2].any()


@pytest.mark.parametrize("name", AWKWARD)
def test_awkward_graphs_train_with_root_terms(name):
    trainer = trainer_of(AWKWARD[name], "demo", model="sage", **HOST)
    assert all(np.isfinite(array).all() for array in trainer.weights)


def test_the_estimator_classifies_the_graph_it_was_fitted_on_and_another():
    graph = block_model()
    model = GCN(hidden=4, device="model:demo", model="sage", epochs=8, dropout=0.0, lr=0.1)
    model.fit(graph.adjacency, graph.features, graph.labels, train=graph.train)
    assert model.history_[-1]["loss"] < model.history_[0]["loss"]
    again = model.predict(graph.adjacency, graph.features)
    assert np.array_equal(again, model.predict())


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"model": "gat"}, "model='gat' is unknown; try gcn or sage or gin"),
        ({"residual": True}, "adds nothing with 2 layers.*try layers=3"),
        ({"residual": 1}, "residual=1 is no truth value; try False"),
        ({"model": "gin", "residual": True}, "exponents of their own; try model='gcn' or 'sage'"),
        ({"model": "gin", "layers": 6}, "6 layers of model='gin' are 12 .* try at most 5"),
        ({"epsilon": 0.5}, "epsilon=0.5 is of model='gin' and this is 'gcn'; try 0"),
    ],
)
def test_what_a_model_cannot_be_is_refused(options, words):
    with pytest.raises(ConfigError, match=words):
        Options(**options)


def test_networks_of_the_wrong_shape_are_refused():
    with pytest.raises(ConfigError, match="one layer; try two weight matrices for each"):
        Network(widths=(4, 5, 5, 2), model="gin")
    with pytest.raises(ConfigError, match="adds 5 features to 6; try hidden layers of one width"):
        Network(widths=(4, 5, 6, 2), residual=True)


def test_weights_that_leave_the_root_terms_no_mantissa_are_refused():
    edges = directed().adjacency.toarray()
    edges[1], edges[0, 1], edges[1, 1] = 0, 1, 1e-6  # It hears next to nothing and is heard.
    with pytest.raises(ConfigError, match="no mantissa; try smaller weights of edges"):
        trainer_of(changed(directed(), adjacency=csr_array(edges)), **KINDS["residual"])
    with pytest.raises(DataError, match=r"into node 1 sum to -2, .* not negative"):
        mean_norm(csr_array([[0.0, 1.0], [-2.0, 0.0]]))


def test_parallel_modes_refuse_what_they_cannot_do():
    for options in (KINDS["residual"], {"model": "sage"}, {"model": "gin"}):
        settings = Options(**options, update="host")
        with pytest.raises(ConfigError, match="trains on one device; try model='gcn'"):
            check_mode("mop", settings, directed(), 2)
