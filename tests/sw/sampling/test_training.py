# SPDX-License-Identifier: Apache-2.0
"""Sampled training: same bits on any number of workers, gradients against SciPy, accuracy."""

import numpy as np
import pytest

import gcnloom
from gcnloom.errors import CheckpointError, ConfigError
from gcnloom.graphs import datasets
from gcnloom.graphs.graph import gcn_norm
from gcnloom.parallel.communicator import Alone
from gcnloom.parallel.threads import run_threads
from gcnloom.parallel.trainer import SharedJudge
from gcnloom.sampling.options import Sampling
from gcnloom.sampling.trainer import MinibatchTrainer
from gcnloom.training.weights import weights_sha256
from tests.sw.graphs import AWKWARD
from tests.sw.host import host_options

SEED = 3
SMALL = datasets.load("sbm:60,3", seed=SEED)


def _run(graph, workers, mode, options, sampling, device="model:demo"):
    """Train; return each worker's trainer."""

    def work(communicator):
        with gcnloom.open(device) as opened:
            trainer = MinibatchTrainer(
                graph, options, opened, communicator, mode=mode, sampling=sampling
            )
            trainer.run()
            return trainer

    return run_threads(workers, work)


def _options(**changes):
    return host_options(**{"epochs": 1, "hidden": 6, "dropout": 0.25, "seed": SEED} | changes)


CHOICES = {
    "neighbour": {"batch": 12, "fanout": (3, 3), "kappa": 2},
    "labor": {"batch": 12, "fanout": (3, 3), "kappa": 2},
    "cluster": {"batch": 4, "clusters": 9},
}


@pytest.mark.parametrize("sampler", CHOICES)
def test_cooperating_workers_come_to_one_workers_weights(sampler):
    if sampler == "cluster":
        pytest.importorskip("pymetis")
    digests = {}
    for workers in (1, 2, 4):
        choice = CHOICES[sampler] | {"batch": CHOICES[sampler]["batch"] // workers}
        sampling = Sampling(sampler=sampler, **choice)
        trainers = _run(SMALL, workers, "cooperative", _options(), sampling)
        assert len({weights_sha256(each.weights) for each in trainers}) == 1
        digests[workers] = weights_sha256(trainers[0].weights)
        assert len({tuple(epoch.loss for epoch in each.history) for each in trainers}) == 1
    assert len(set(digests.values())) == 1, digests


@pytest.mark.parametrize("name", AWKWARD)
def test_awkward_graphs_cooperate(name):
    graph = AWKWARD[name]
    digests = set()
    for workers in (1, 2):
        sampling = Sampling(batch=4 // workers, fanout=(2, 2), evaluate_every=1)
        trainers = _run(graph, workers, "cooperative", _options(), sampling)
        digests |= {weights_sha256(each.weights) for each in trainers}
    assert len(digests) == 1


def _settled(trainer):
    """Logits and weight gradients of the first batch, at shifts that fit them."""
    engine = trainer.engine
    engine.begin(0)
    judge = SharedJudge(trainer.graph.labels[engine.batch.nodes], trainer.communicator)
    for _ in range(6):
        logits = engine.forward(trainer.weights, step=0, training=True)
        _, slope = judge.cross_entropy(logits, np.arange(len(engine.batch.nodes)))
        gradients = engine.backward(slope, step=0)
        if engine.settled("forward") and engine.settled("backward"):
            break
    return logits, gradients


def _golden(trainer):
    """Logits and weight gradients of the batch under way, in float64 and by SciPy."""
    block, graph, weights = trainer.engine.batch.block, trainer.graph, trainer.weights
    layers = [share.weights for share in block.layers]
    inputs = [graph.features[block.inputs]]
    for layer, (matrix, weight) in enumerate(zip(layers, weights, strict=True), start=1):
        hidden = matrix @ (inputs[-1] @ weight)
        inputs.append(np.maximum(hidden, 0) if layer < len(layers) else hidden)
    logits = inputs[-1]
    labels = graph.labels[block.seeds]
    odds = np.exp(logits - logits.max(axis=1, keepdims=True))
    gradient = odds / odds.sum(axis=1, keepdims=True)
    gradient[np.arange(len(labels)), labels] -= 1
    gradient /= len(labels)
    gradients = []
    for layer in range(len(layers), 0, -1):
        spread = layers[layer - 1].T @ gradient
        gradients.insert(0, inputs[layer - 1].T @ spread)
        gradient = (spread @ weights[layer - 1].T) * (inputs[layer - 1] > 0) if layer > 1 else None
    return logits, gradients


@pytest.mark.parametrize("data", ["sbm:60,3", "rmat:6,6"])
def test_a_batch_comes_to_what_scipy_makes_of_its_block(data):
    graph = datasets.load(data, seed=SEED)
    sampling = Sampling(batch=16, fanout=(4, 4))
    with gcnloom.open("model:demo") as device:
        trainer = MinibatchTrainer(
            graph, _options(dropout=0.0), device, Alone(), mode="minibatch", sampling=sampling
        )
        engine = trainer.engine
        logits, found = _settled(trainer)
        order = np.searchsorted(engine.batch.block.seeds, engine.batch.nodes)
        golden, gradients = _golden(trainer)
    # Eight bits an operand: a hundredth of the largest, a few times over in deeper products.
    assert np.abs(logits - golden[order]).max() < 0.05 * np.abs(golden).max()
    for mine, reference in zip(found, gradients, strict=True):
        assert np.linalg.norm(mine - reference) < 0.1 * np.linalg.norm(reference)


def test_two_workers_of_their_own_batches_add_up_their_gradients():
    """With every edge kept and no dropout a batch's gradient does not depend on who has it."""
    found = {}
    for workers in (1, 2):
        sampling = Sampling(batch=12 // workers, fanout=(60, 60))

        def work(communicator, sampling=sampling):
            with gcnloom.open("model:demo") as device:
                trainer = MinibatchTrainer(
                    SMALL, _options(dropout=0.0), device, communicator, mode="minibatch",
                    sampling=sampling,
                )  # fmt: skip
                return _settled(trainer)[1]

        found[workers] = run_threads(workers, work)[0]
    for mine, other in zip(found[1], found[2], strict=True):
        assert np.linalg.norm(mine - other) < 0.03 * np.linalg.norm(mine)


def test_minibatches_learn():
    graph = datasets.load("sbm:150,3", seed=SEED)
    sampling = Sampling(batch=15, fanout=(5, 5), evaluate_every=7)
    trainer = _run(graph, 1, "minibatch", _options(epochs=14, hidden=16, lr=0.04), sampling)[0]
    losses = [epoch.loss for epoch in trainer.history]
    assert losses[-1] < 0.5 * losses[0]
    logits = gcn_norm(graph.adjacency) @ (graph.features @ trainer.best[0])
    logits = gcn_norm(graph.adjacency) @ (np.maximum(logits, 0) @ trainer.best[1])
    right = (logits.argmax(axis=1) == graph.labels)[graph.test].mean()
    assert right > 0.85, f"seed {SEED}: {right}"


def test_a_resumed_training_comes_to_the_same_bits():
    sampling = Sampling(batch=10, fanout=(3, 3), kappa=3, cache=20)
    whole = _run(SMALL, 1, "minibatch", _options(epochs=2), sampling)[0]
    half = _run(SMALL, 1, "minibatch", _options(epochs=1), sampling)[0].checkpoint()
    with gcnloom.open("model:demo") as device:
        options = _options(epochs=2)
        trainer = MinibatchTrainer(
            SMALL, options, device, Alone(), mode="minibatch", sampling=sampling
        )
        trainer.restore(half)
        trainer.run()
        assert weights_sha256(trainer.weights) == weights_sha256(whole.weights)
        other = Sampling(batch=6, fanout=(3, 3), kappa=3, cache=20)
        trainer = MinibatchTrainer(
            SMALL, options, device, Alone(), mode="minibatch", sampling=other
        )
        with pytest.raises(CheckpointError, match="sampling"):
            trainer.restore(half)


def test_epochs_take_one_iteration_after_the_other(monkeypatch):
    sampling = Sampling(batch=10, fanout=(3, 3), evaluate_every=0)
    taken, iterate = [], MinibatchTrainer.iterate

    def watched(trainer, iteration):
        taken.append(iteration)
        return iterate(trainer, iteration)

    monkeypatch.setattr(MinibatchTrainer, "iterate", watched)
    trainer = _run(SMALL, 1, "minibatch", _options(epochs=2), sampling)[0]
    assert taken == list(range(2 * trainer.engine.batches.per_epoch))


@pytest.mark.sim
def test_the_gateware_comes_to_the_models_weights():
    sampling = Sampling(batch=6, fanout=(3, 3))
    options = _options(epochs=1)
    graph = datasets.load("sbm:30,2", seed=SEED)
    digests = {
        weights_sha256(_run(graph, 2, "cooperative", options, sampling, device)[0].weights)
        for device in ("model:demo", "rtl:demo")
    }
    assert len(digests) == 1


@pytest.mark.parametrize(
    ("changes", "sampling", "what"),
    [
        ({"update": "device", "optimiser": "sgd"}, {}, "update"),
        ({}, {"clusters": 4}, "clusters"),
        ({}, {"sampler": "cluster"}, "sampler"),
        ({}, {"sampler": "cluster", "clusters": 4, "kappa": 2}, "kappa"),
        ({}, {"sampler": "cluster", "clusters": 61}, "clusters"),
        ({"rounding": "stochastic"}, {}, "rounding"),
        ({"layers": 3}, {}, "fanout"),
        ({"sampled": False}, {}, "sampled"),
        ({"patience": 5}, {"evaluate_every": 0}, "patience"),
        ({}, {"sampler": "walk"}, "sampler"),
        ({}, {"batch": 0}, "batch"),
        ({}, {"cache": -1}, "cache"),
    ],
)
def test_what_cannot_be_had_is_refused(changes, sampling, what):
    with pytest.raises(ConfigError, match=f"{what}=.*; try"):
        if "sampler" not in sampling:
            sampling = {"fanout": (3, 3)} | sampling
        _run(SMALL, 1, "minibatch", _options(**changes), Sampling(**sampling))
