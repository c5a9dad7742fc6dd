# SPDX-License-Identifier: Apache-2.0
"""Training by sub-networks: against ordinary training, by hand, on model and RTL."""

from dataclasses import replace

import numpy as np
import pytest

import gcnloom
from gcnloom.errors import CheckpointError, ConfigError, DataError
from gcnloom.parallel.communicator import Alone
from gcnloom.parallel.gist import GistTrainer
from gcnloom.parallel.rounds import Rounds
from gcnloom.parallel.threads import run_threads
from gcnloom.training.device_trainer import trainer_for
from gcnloom.training.options import Options
from gcnloom.training.weights import first_weights
from tests.sw.graphs import block_model, changed
from tests.sw.parallel.gist import train_gist

ON_HOST = {"update": "host", "optimiser": "adam", "lr": 0.05}
ON_DEVICE = {"lr": 0.5}


def ordinary(graph, options, weights=None):
    """Last weights of an ordinary training."""
    with gcnloom.open("model:odd", memory_megabytes=1) as device:
        trainer = trainer_for(graph, options, device)
        if weights is not None:
            trainer.start_from(weights)
        trainer.run()
        return trainer.weights


def same(one, other):
    return all(np.array_equal(a, b) for a, b in zip(one, other, strict=True))


@pytest.mark.parametrize("update", [ON_HOST, ON_DEVICE], ids=["host", "device"])
def test_one_worker_in_one_round_is_ordinary_training(update):
    graph = block_model(nodes=20)
    options = Options(hidden=5, epochs=4, seed=11, **update)
    trained = train_gist(graph, options, 1, local_iterations=4)
    assert same(trained.trainer.weights, ordinary(graph, options))
    assert sum(sum(sent.values()) for sent in trained.sent) == 0


@pytest.mark.parametrize(
    ("update", "layers"), [(ON_HOST, 3), (ON_DEVICE, 2)], ids=["host", "device"]
)
def test_rounds_are_ordinary_trainings_of_parts_put_together(update, layers):
    graph = block_model(nodes=16)
    options = Options(hidden=5, layers=layers, epochs=6, seed=4, **update)
    trained = train_gist(graph, options, 2, local_iterations=2)
    plan = Rounds.of(options, 2, 2)
    weights = first_weights(options.network(graph.features.shape[1], graph.classes), 4)
    bare = changed(graph, val=[])
    for number, epochs in enumerate((2, 1)):
        groups = plan.groups(number)
        after = [array.copy() for array in weights]
        for worker, hidden in enumerate((2, 3)):
            local = replace(
                options, hidden=hidden, epochs=epochs, seed=plan.local_seed(number, worker)
            )
            part = ordinary(bare, local, groups.gather(weights, worker))
            groups.scatter(after, worker, part)
        weights = after
    assert same(trained.trainer.weights, weights)


def test_it_learns_and_its_bytes_are_the_formulas():
    graph = block_model(nodes=60)
    options = Options(hidden=8, epochs=40, seed=2, **ON_HOST)
    trained = train_gist(graph, options, 2, local_iterations=5)
    print("seed 2, test accuracy", trained.accuracy)
    assert trained.accuracy > 0.85
    features, rounds = graph.features.shape[1], 4
    part = 8 * (features * 4 + 4 * 2)
    assert trained.trainer.rounds.count == rounds
    assert trained.sent[0]["scatter"] + trained.sent[1]["gather"] == rounds * 2 * part
    assert trained.sent[0]["gather"] == trained.sent[1]["scatter"] == 0


def test_history_is_by_local_epoch_and_looks_at_validation_nodes_when_asked():
    graph = block_model(nodes=16)
    options = Options(hidden=4, epochs=10, seed=1, **ON_DEVICE)
    history = train_gist(graph, options, 2, local_iterations=2, evaluate_every=2).trainer.history
    assert [epoch.epoch for epoch in history] == [1, 2, 3, 4, 5]
    assert [epoch.val is not None for epoch in history] == [False, False, False, True, False]
    plain = train_gist(graph, options, 2, local_iterations=2).trainer.history
    assert [epoch.loss for epoch in plain] == [epoch.loss for epoch in history]


def test_weights_kept_are_those_best_on_the_validation_nodes():
    graph = block_model(nodes=16)
    options = Options(hidden=4, epochs=8, seed=2, lr=10.0)  # Too steep to end at its best.

    def trained(rounds):
        def stops(trainer):
            trainer.rounds = replace(trainer.rounds, epochs=2 * rounds)

        more = {"local_iterations": 1, "evaluate_every": 1, "prepare": stops}
        return train_gist(graph, options, 2, **more).trainer

    whole = trained(4)
    ranks = [(epoch.val, -epoch.val_loss) for epoch in whole.history]
    first = ranks.index(max(ranks)) + 1
    assert 1 < first < 4
    assert same(whole.best, trained(first).weights)
    assert not same(whole.best, whole.weights)


def test_an_interrupted_training_continues_to_the_same_bits():
    graph = block_model(nodes=16)
    options = Options(hidden=4, epochs=8, seed=3, **ON_DEVICE)

    def stops(trainer):
        trainer.rounds = replace(trainer.rounds, epochs=4)

    whole = train_gist(graph, options, 2, local_iterations=2).trainer
    half = train_gist(graph, options, 2, local_iterations=2, prepare=stops).trainer
    resumed = train_gist(
        graph,
        options,
        2,
        local_iterations=2,
        prepare=lambda trainer: trainer.restore(half.checkpoint()),
    ).trainer
    assert resumed.trained == 1
    assert same(resumed.weights, whole.weights)
    assert resumed.history == whole.history


def test_checkpoints_of_other_trainings_are_refused():
    graph, options = block_model(nodes=16), Options(hidden=4, epochs=8)
    with gcnloom.open("model:odd", memory_megabytes=1) as device:
        trainer = GistTrainer(graph, options, device, Alone(), local_iterations=4)
        other = GistTrainer(graph, options, device, Alone(), local_iterations=2)
        with pytest.raises(CheckpointError, match="with local_iterations=4 not 2; try to resume"):
            other.restore(trainer.checkpoint())
        ordinary = trainer_for(graph, options, device)
        with pytest.raises(CheckpointError, match="by sub-networks; try it with --parallel gist"):
            ordinary.restore(trainer.checkpoint())
        with pytest.raises(CheckpointError, match="is of a whole network's training; try it"):
            trainer.restore(ordinary.checkpoint())


@pytest.mark.sim
def test_model_and_rtl_come_to_the_same_weights():
    graph = block_model(nodes=20)
    options = Options(hidden=4, epochs=8, seed=6, **ON_DEVICE)
    model, rtl = (
        train_gist(graph, options, 2, device=f"{name}:smallest", local_iterations=2)
        for name in ("model", "rtl")
    )
    assert same(model.trainer.weights, rtl.trainer.weights)
    assert [epoch.loss for epoch in model.trainer.history] == [
        epoch.loss for epoch in rtl.trainer.history
    ]
    assert [epoch.cycles > 0 for epoch in rtl.trainer.history] == [False, True, False, True]


@pytest.mark.parametrize(
    ("changes", "more", "message"),
    [
        ({"patience": 3, "validate_every": 1}, {}, "patience=3 counts epochs of one training"),
        ({"validate_every": 5}, {}, "validate_every=5 counts epochs of one"),
        ({"halve_every": 64}, {}, "halve_every=64 counts epochs of one"),
        ({}, {"evaluate_every": -1}, "evaluate_every=-1 is no number from 0 on; try 0"),
        ({}, {"evaluate_every": 3}, "evaluate_every=3 is more than the 2 rounds; try 2"),
        ({}, {"local_iterations": 0}, "local_iterations=0 is no number from 1 on; try 1"),
    ],
)
def test_options_that_are_not_for_parts_are_refused(changes, more, message):
    options = Options(hidden=4, epochs=8, **changes)
    with (
        gcnloom.open("model:odd", memory_megabytes=1) as device,
        pytest.raises(ConfigError, match=message),
    ):
        GistTrainer(block_model(), options, device, Alone(), **{"local_iterations": 4} | more)


def test_looking_at_validation_nodes_needs_some():
    with (
        gcnloom.open("model:odd", memory_megabytes=1) as device,
        pytest.raises(DataError, match="has no validation nodes to look at; try evaluate_every=0"),
    ):
        GistTrainer(
            changed(block_model(), val=[]), Options(epochs=4), device, Alone(),
            local_iterations=1, evaluate_every=1,
        )  # fmt: skip


def test_workers_with_other_rounds_are_refused():
    def work(communicator):
        with gcnloom.open("model:odd", memory_megabytes=1) as device:
            GistTrainer(
                block_model(nodes=20), Options(hidden=4, epochs=8), device, communicator,
                local_iterations=1 + communicator.rank,
            )  # fmt: skip

    with pytest.raises(ConfigError, match="worker 1 has another graph, other options"):
        run_threads(2, work)
