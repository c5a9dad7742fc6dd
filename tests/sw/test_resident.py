# SPDX-License-Identifier: Apache-2.0
"""A training that stays on the device comes to the same bits however it is cut, and wherever."""

from dataclasses import asdict

import numpy as np
import pytest

from gcnloom.device import open as open_device
from gcnloom.training.device_trainer import trainer_for
from gcnloom.training.engine import Engine
from gcnloom.training.loss import cross_entropy
from gcnloom.training.masters import unpack_masters
from gcnloom.training.options import Options
from gcnloom.training.resident import Resident
from gcnloom_spec.number import requantise
from gcnloom_spec.softmax import LOSS_ERROR, LOSS_FRACTION
from tests.sw.graphs import block_model, changed
from tests.system.training import start_weights

OPTIONS = {
    "hidden": 6, "epochs": 6, "dropout": 0.3, "rounding": "stochastic", "lr": 0.3,
    "weight_decay": 1e-3, "validate_every": 2, "seed": 5,
}  # fmt: skip
CONFIGS = ("smallest", "tall", "banked", "demo", "odd")
NARROW = ("smallest", "banked", "demo")
"""Master weights of 16 bits and operands of eight."""


def resident(graph, device, **changes):
    options = Options(**OPTIONS | changes)
    network = options.network(graph.features.shape[1], graph.classes)
    engine = Engine(graph, network, device, seed=options.seed, descends=True)
    return Resident(engine, graph, options), start_weights(network.widths, 7)


def summary(state):
    """Everything in a state that bits can differ in."""
    masters = [
        (each.weights.tolist(), each.momenta.tolist(), each.exponent, each.momentum_exponent)
        for each in state.masters
    ]
    return masters, state.used, state.wanted, asdict(state.judged), state.step


def trained(name, runs, **changes):
    """Summary of a training in runs of so many epochs, its records and its judgements by epoch."""
    graph = block_model()
    with open_device(f"model:{name}", memory_megabytes=4) as device:
        training, weights = resident(graph, device, **changes)
        state, judged = training.first(weights), {}
        for epochs in runs:
            state, result = training.run(state, epochs, lambda step: None)
            assert result.ended.step == state.step
            losses = training.records(range(state.step + 1), inference=True)["val_loss"].tolist()
            judged |= {step: loss for step, loss in enumerate(losses) if loss}
        records = training.records(range(state.step), inference=False)
    return summary(state), {name: each.tolist() for name, each in records.items()}, judged


@pytest.mark.parametrize("name", CONFIGS)
def test_runs_that_are_cut_come_to_the_same_bits(name):
    """Validation nodes are judged after the same epochs, wherever a run begins."""
    whole = trained(name, [6])
    assert set(whole[2]) == {2, 4, 6}
    for runs in ([4, 2], [2, 2, 2], [3, 3], [1, 4, 1]):
        assert trained(name, runs) == whole


def test_a_state_is_continued_on_another_device():
    """Of other sizes, and with scales that are all zero."""
    graph, state = block_model(), None
    for name in NARROW:
        with open_device(f"model:{name}", memory_megabytes=4) as device:
            training, weights = resident(graph, device)
            state = training.first(weights) if state is None else state
            state, _ = training.run(state, 2, lambda step: None)
    assert summary(state) == trained("demo", [6])[0]


def test_configurations_of_the_same_widths_come_to_the_same_bits():
    outcomes = [trained(name, [6]) for name in NARROW]
    assert outcomes[0] == outcomes[1] == outcomes[2]
    (masters, *_), records, _ = outcomes[0]
    assert np.count_nonzero(masters[0][1]) > 10
    assert records["train_loss"][-1] < records["train_loss"][0]


@pytest.mark.parametrize("changes", [{"sampled": False}, {"mixture": False}, {"serial": True}])
def test_ways_of_computing_change_no_bit(changes):
    graph = block_model()
    outcomes = []
    for each in ({}, changes):
        with open_device("model:odd", memory_megabytes=4) as device:
            trainer = trainer_for(graph, Options(**OPTIONS | each, update="device"), device)
            trainer.run()
            outcomes.append([weights.tobytes() for weights in trainer.weights])
    assert outcomes[0] == outcomes[1]


@pytest.mark.parametrize("name", ["smallest", "odd", "tall", "banked", "wide", "demo"])
def test_transposed_weights_are_those_on_the_device_and_padding_stays_zero(name):
    """Arrays that are higher than vectors have banks beside the last panel."""
    graph = block_model()
    graph = changed(graph, features=np.asarray(graph.features.todense())[:, :29])
    with open_device(f"model:{name}", memory_megabytes=4) as device:
        training, weights = resident(graph, device)
        lowered, state = training._engine.lowered, training.first(weights)
        for _ in range(2):
            before = requantise(
                state.masters[1].weights, state.used[1] - state.masters[1].exponent,
                device.config.operand_width,
            )[0]  # fmt: skip
            state, _ = training.run(state, 1, lambda step: None)
            transposed = device.read(lowered.layout("weights2_transposed"))
            assert np.array_equal(transposed[: before.shape[1], : before.shape[0]], before.T)
            assert not transposed[before.shape[1] :].any()
        state, _ = training.run(state, 4, lambda step: None)
        for layer, masters in enumerate(state.masters, start=1):
            layout = lowered.layout(f"masters{layer}")
            data = device.read_bytes(layout.address, layout.words)
            all_of_it = unpack_masters(layout, data, (layout.rows, layout.features))
            for part in (*all_of_it, device.read(lowered.layout(f"weights{layer}"))):
                inner, outer = masters.weights.shape
                assert not part[inner:].any()
                assert not part[:, outer:].any()


@pytest.mark.parametrize(
    ("layers", "dropout", "counted"),
    [(1, 0.5, 1.0), (2, 0.0, 1.0), (2, 0.5, 0.5), (3, 0.3, 1.0), (4, 0.5, 1.0)],
)
def test_the_first_record_is_the_loss_of_the_first_weights(layers, dropout, counted):
    """The device's loss is that of the logits of its own forward pass; two layers' are softened."""
    graph = block_model()
    with open_device("model:demo", memory_megabytes=4) as device:
        training, weights = resident(graph, device, layers=layers, dropout=dropout)
        state = training.first([4 * each for each in weights])
        real = [each.real for each in state.masters]
        logits = counted * training._engine.forward(real, step=0, training=True)
        training.run(state, 1, lambda step: None)
        record = training.records(range(1), inference=False)
    loss, _ = cross_entropy(logits, graph.labels, graph.train)
    nats = record["train_loss"][0] * np.log(2) / (1 << LOSS_FRACTION)
    # Weights are rounded to operands once on the host, twice on the way to the device.
    assert abs(nats / len(graph.train) - loss) < LOSS_ERROR + 0.02
    right = (logits[graph.train].argmax(axis=1) == graph.labels[graph.train]).sum()
    assert abs(int(record["train_correct"][0]) - right) <= 1
