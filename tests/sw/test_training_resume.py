# SPDX-License-Identifier: Apache-2.0
"""A training that was interrupted ends, to the bit, where an uninterrupted one does."""

from dataclasses import replace

import numpy as np
import pytest

from gcnloom.device import Device
from gcnloom.device import open as open_device
from gcnloom.errors import CheckpointError
from gcnloom.training.checkpoint import load_checkpoint, save_checkpoint
from gcnloom.training.trainer import Trainer
from gcnloom.training.weights import weights_sha256
from gcnloom_spec.config import AcceleratorConfig
from tests.sw.graphs import block_model, changed
from tests.sw.host import host_options

EPOCHS = 6
BASE = {"hidden": 4, "epochs": EPOCHS, "dropout": 0.25, "rounding": "stochastic", "seed": 9}
CASES = {
    "adam": BASE | {"lr": 0.05},
    "sgd": BASE | {"optimiser": "sgd", "lr": 0.2},
    "patience": BASE | {"lr": 0.5, "patience": 2, "epochs": 12},
    "three layers": BASE | {"layers": 3, "rounding": "nearest"},
}
GRAPH = block_model(40)


def ends(trainer):
    """Everything a training leaves, but for the cycles, which only gateware counts."""
    return (
        [replace(epoch, cycles=0) for epoch in trainer.history],
        weights_sha256(trainer.weights),
        weights_sha256(trainer.best),
        trainer.optimiser.state()["steps"],
        trainer.stopped_early,
    )


def train(options, device="model:odd", *, resume=None, progress=lambda _: None, graph=GRAPH):
    with open_device(device, memory_megabytes=8) as opened:
        trainer = Trainer(graph, host_options(**options), opened)
        if resume is not None:
            trainer.restore(resume)
        trainer.run(progress)
    return trainer


def through_a_file(checkpoint, folder):
    save_checkpoint(folder / "run.npz", checkpoint)
    return load_checkpoint(folder / "run.npz")


@pytest.fixture(scope="module", params=CASES)
def uninterrupted(request):
    """Options, the end of a training with them, and its checkpoint after each epoch."""
    options, checkpoints = CASES[request.param], []
    with open_device("model:odd", memory_megabytes=8) as device:
        trainer = Trainer(GRAPH, host_options(**options), device)
        checkpoints.append(trainer.checkpoint())
        trainer.run(lambda _: checkpoints.append(trainer.checkpoint()))
        return options, ends(trainer), [*checkpoints, trainer.checkpoint()]


def test_resuming_after_any_epoch_ends_in_the_same_bits(uninterrupted, tmp_path):
    options, expected, checkpoints = uninterrupted
    assert len(checkpoints) > 4
    for checkpoint in checkpoints:
        resumed = train(options, resume=through_a_file(checkpoint, tmp_path))
        assert ends(resumed) == expected


def test_a_finished_training_can_be_prolonged_to_the_same_bits(uninterrupted, tmp_path):
    options, expected, _ = uninterrupted
    shorter = train(options | {"epochs": 3}).checkpoint()
    assert ends(train(options, resume=through_a_file(shorter, tmp_path))) == expected


def test_an_interruption_between_epochs_keeps_the_epoch_that_ended(uninterrupted):
    options, expected, _ = uninterrupted

    def interrupt(epoch):
        if epoch.epoch == 2:
            raise KeyboardInterrupt

    with open_device("model:odd", memory_megabytes=8) as device:
        trainer = Trainer(GRAPH, host_options(**options), device)
        with pytest.raises(KeyboardInterrupt):
            trainer.run(interrupt)
    assert len(trainer.checkpoint().meta["history"]) == 2
    assert ends(train(options, resume=trainer.checkpoint())) == expected


@pytest.mark.parametrize("when", [1, 2, 4, 7, 10, 12])
def test_an_interruption_of_the_device_loses_the_epoch_under_way_only(
    uninterrupted, monkeypatch, when
):
    options, expected, _ = uninterrupted
    run, calls = Device.run, []

    def interrupted(*arguments, **keywords):
        calls.append(1)
        if len(calls) == when:
            raise KeyboardInterrupt
        return run(*arguments, **keywords)

    with open_device("model:odd", memory_megabytes=8) as device:
        trainer = Trainer(GRAPH, host_options(**options), device)
        with monkeypatch.context() as patch:
            patch.setattr(Device, "run", interrupted)
            with pytest.raises(KeyboardInterrupt):
                trainer.run()
        # The same device serves on.
        again = Trainer(GRAPH, host_options(**options), device)
        again.restore(trainer.checkpoint())
        again.run()
    assert ends(again) == expected


@pytest.mark.parametrize("device", ["model:smallest", "model:demo"])
def test_another_configuration_continues_to_the_same_bits(uninterrupted, device):
    options, expected, checkpoints = uninterrupted
    assert ends(train(options, device, resume=checkpoints[-3])) == expected


@pytest.mark.sim
def test_gateware_continues_to_the_same_bits():
    options, halves = CASES["adam"], CASES["adam"] | {"epochs": 3}
    resumed = train(options, "rtl:smallest", resume=train(halves).checkpoint())
    assert ends(resumed) == ends(train(options))
    assert resumed.history[-1].cycles > 0


def test_a_graph_in_tiles_resumes_to_the_same_bits():
    # More nodes than the smallest memories hold: they are reordered, the same way each time.
    graph, options = block_model(300, 3), CASES["adam"] | {"epochs": 3}
    half = train(options | {"epochs": 1}, "model:smallest", graph=graph).checkpoint()
    whole = train(options, "model:smallest", graph=graph)
    order = whole.engine.graph.order
    assert not np.array_equal(order, np.arange(300))
    assert ends(train(options, "model:smallest", graph=graph, resume=half)) == ends(whole)


def test_a_checkpoint_of_something_else_is_refused():
    checkpoint = train(CASES["adam"] | {"epochs": 2}).checkpoint()
    refused = [
        (CASES["adam"] | {"lr": 0.1}, GRAPH, r"trained with lr=0\.05 not 0\.1; try"),
        (CASES["adam"] | {"seed": 1}, GRAPH, "seed=9 not 1"),
        (CASES["adam"] | {"hidden": 5}, GRAPH, "hidden=4 not 5"),
        (CASES["adam"] | {"epochs": 1}, GRAPH, "has 2 epochs already, more than 1; try"),
        (CASES["adam"], changed(GRAPH, features=2 * GRAPH.features), "checkpoint is of graph"),
        (CASES["adam"], block_model(41), "checkpoint is of graph 'sbm:40,2'"),
    ]
    for options, graph, message in refused:
        with pytest.raises(CheckpointError, match=message):
            train(options, resume=checkpoint, graph=graph)


def test_a_checkpoint_of_other_operands_is_refused():
    checkpoint = train(CASES["adam"] | {"epochs": 2}).checkpoint()
    wider = replace(AcceleratorConfig.from_toml("odd"), operand_width=9, memory_bytes=16)
    with open_device("model", wider, memory_megabytes=8) as device:
        trainer = Trainer(GRAPH, host_options(**CASES["adam"]), device)
        before = weights_sha256(trainer.weights)
        with pytest.raises(CheckpointError, match=r"operands of 8 bits, this device has 9; try"):
            trainer.restore(checkpoint)
        assert weights_sha256(trainer.weights) == before
