# SPDX-License-Identifier: Apache-2.0
"""Training learns what the textbook learns, on whatever graph, and stops when it should."""

from itertools import pairwise

import numpy as np
import pytest

from gcnloom.device import open as open_device
from gcnloom.errors import DataError, TrainingError
from gcnloom.graphs.graph import gcn_norm
from gcnloom.training.loss import accuracy
from gcnloom.training.trainer import Trainer, graph_digest
from gcnloom.training.weights import first_weights
from gcnloom_sim import golden
from tests.sw.graphs import AWKWARD, block_model, changed
from tests.sw.host import host_options

PLAIN = {"hidden": 4, "dropout": 0.0, "weight_decay": 0.0}


def trained(graph, device="model:odd", **options):
    with open_device(device, memory_megabytes=8) as opened:
        trainer = Trainer(graph, host_options(**options), opened)
        trainer.run()
    return trainer


def textbook_loss(graph, options):
    weights = first_weights(options.network(graph.features.shape[1], graph.classes), options.seed)
    logits = golden.forward(gcn_norm(graph.adjacency), graph.features, weights).logits
    return golden.loss_of(logits, graph.labels, graph.train)


@pytest.mark.parametrize("layers", [1, 2, 3])
@pytest.mark.parametrize("name", AWKWARD)
def test_awkward_graphs_start_at_the_textbook_loss_and_learn(name, layers):
    graph = AWKWARD[name]
    trainer = trained(graph, layers=layers, epochs=12, lr=0.03, **PLAIN)
    losses = [epoch.loss for epoch in trainer.history]
    options = host_options(layers=layers, **PLAIN)
    assert losses[0] == pytest.approx(textbook_loss(graph, options), abs=0.02)
    assert losses[-1] < losses[0] if graph.classes > 1 else losses == [0.0] * 12
    assert [epoch.epoch for epoch in trainer.history] == list(range(1, 13))


def test_accuracy_is_within_two_points_of_float64():
    graph = block_model(500, 5)
    noise = np.random.default_rng(0).normal(0, 3, graph.features.shape)
    graph = changed(graph, features=graph.features.toarray() + noise)
    options = host_options(epochs=25, hidden=8, dropout=0.0, lr=0.02)
    trainer = trained(graph, "model:demo", **options.as_dict())
    network = options.network(graph.features.shape[1], graph.classes)
    adjacency = gcn_norm(graph.adjacency)
    weights, losses = golden.train(
        adjacency, graph.features, graph.labels, graph.train,
        first_weights(network, options.seed), options.make_optimiser().step, epochs=25,
    )  # fmt: skip
    expected = golden.forward(adjacency, graph.features, weights).logits
    with open_device("model:demo", memory_megabytes=8) as device:
        logits = Trainer(graph, options, device).engine.logits(trainer.weights)
    there, here = (accuracy(array, graph.labels, graph.test) for array in (expected, logits))
    assert 0.5 < there < 1.0
    assert abs(here - there) < 0.02
    assert np.allclose([epoch.loss for epoch in trainer.history], losses, rtol=0.05)


def test_the_weights_kept_are_those_of_the_best_validation():
    graph = block_model(40)
    trainer = trained(graph, epochs=8, lr=0.3, hidden=4, seed=5)
    ranks = [(epoch.val, -epoch.val_loss) for epoch in trainer.history]
    with open_device("model:odd", memory_megabytes=8) as device:
        logits = Trainer(graph, trainer.options, device).engine.logits(trainer.best)
    kept = golden.loss_of(logits, graph.labels, graph.val)
    assert (accuracy(logits, graph.labels, graph.val), -kept) >= max(ranks)
    assert ranks[-1] < max(ranks)


def test_without_validation_nodes_the_last_weights_are_kept():
    trainer = trained(changed(block_model(), val=[]), epochs=3, hidden=4)
    assert all(a is b for a, b in zip(trainer.best, trainer.weights, strict=True))
    assert {(epoch.val, epoch.val_loss) for epoch in trainer.history} == {(None, None)}


def test_an_interrupted_training_without_validation_nodes_keeps_the_last_weights():
    def interrupt(epoch):
        if epoch.epoch == 2:
            raise KeyboardInterrupt

    with open_device("model:odd", memory_megabytes=8) as device:
        graph = changed(block_model(), val=[])
        trainer = Trainer(graph, host_options(epochs=3, hidden=4), device)
        with pytest.raises(KeyboardInterrupt):
            trainer.run(interrupt)
    kept = trainer.checkpoint()
    pairs = zip(kept.group("model"), trainer.weights, strict=True)
    assert all(np.array_equal(*pair) for pair in pairs)


def test_training_stops_when_patience_is_at_an_end():
    graph = block_model(40)
    trainer = trained(graph, epochs=60, lr=0.5, hidden=4, patience=3)
    losses = [epoch.val_loss for epoch in trainer.history]
    assert trainer.stopped_early
    assert len(losses) < 60
    assert min(losses[-3:]) >= min(losses[:-3])
    for end in range(4, len(losses)):
        assert min(losses[:end][-3:]) < min(losses[:end][:-3])
    patient = trained(graph, epochs=len(losses), lr=0.5, hidden=4)
    assert [epoch.val_loss for epoch in patient.history] == losses
    assert not patient.stopped_early


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize(
    ("optimiser", "lr", "layers", "epochs"),
    [
        ("adam", 1e200, 2, 20),
        ("sgd", 1e308, 2, 20),
        ("sgd", 1e308, 1, 20),
        ("adam", 1e120, 3, 20),
        ("adam", 1e200, 2, 1),
    ],
)
def test_weights_that_diverge_end_the_training_with_advice(optimiser, lr, layers, epochs):
    with open_device("model:odd", memory_megabytes=8) as device:
        options = host_options(optimiser=optimiser, lr=lr, layers=layers, hidden=4, epochs=epochs)
        trainer = Trainer(block_model(), options, device)
        with pytest.raises(TrainingError, match=r"no longer finite in epoch \d+; try a smaller lr"):
            trainer.run()
        kept = trainer.checkpoint()
    assert len(kept.meta["history"]) == len(trainer.history)
    assert all(np.isfinite(array).all() for array in kept.arrays.values())


def test_what_cannot_be_trained_is_refused():
    graph = block_model()
    with open_device("model:odd", memory_megabytes=8) as device:
        with pytest.raises(DataError, match="no training nodes"):
            Trainer(changed(graph, train=[]), host_options(), device)
        with pytest.raises(DataError, match="no validation nodes for patience=2"):
            Trainer(changed(graph, val=[]), host_options(patience=2), device)


@pytest.mark.parametrize("part", ["adjacency", "features", "labels", "train", "val"])
def test_the_graph_digest_depends_on_every_part(part):
    graph = block_model()
    other = {
        "adjacency": 2 * graph.adjacency, "features": 2 * graph.features,
        "labels": 1 - graph.labels, "train": graph.train[1:], "val": graph.val[::-1],
    }  # fmt: skip
    assert graph_digest(changed(graph, **{part: other[part]})) != graph_digest(graph)
    assert graph_digest(changed(graph, name="other", test=[])) == graph_digest(graph)


def test_first_weights_fill_the_range_of_glorot_and_bengio():
    network = host_options(hidden=50, layers=3).network(200, 7)
    weights = first_weights(network, 4)
    for (inner, outer), array in zip(pairwise(network.widths), weights, strict=True):
        limit = np.sqrt(6 / (inner + outer))
        assert array.shape == (inner, outer)
        assert 0.95 * limit < abs(array).max() <= limit
        assert abs(array.mean()) < 0.1 * limit
    assert first_weights(network, 5)[0][0, 0] != weights[0][0, 0]
