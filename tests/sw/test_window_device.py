# SPDX-License-Identifier: Apache-2.0
"""A training on the device comes out the same through a window, where the host follows repeats."""

import os
import signal
from dataclasses import replace

import numpy as np
import pytest

from gcnloom.device import Device
from gcnloom.errors import ProgramError
from gcnloom.programs.encoding import decode, encode
from gcnloom.programs.program import Program
from gcnloom.programs.records import lend_records
from gcnloom.programs.repeating import Sequencer
from gcnloom.programs.routine import Part, Routine
from gcnloom.training.device_trainer import DeviceTrainer
from gcnloom.training.options import Options
from gcnloom.transport import connect, streaming
from gcnloom_sim.model import Model
from gcnloom_spec.commands import Load, Loss, Repeat, Scale
from gcnloom_spec.config import AcceleratorConfig
from gcnloom_spec.isa import Rule, Target
from tests.sw.graphs import block_model
from tests.sw.test_window import ENOUGH, MOST_FRAMES, Narrow

SMALLEST = AcceleratorConfig.from_toml("smallest")
ODD = AcceleratorConfig.from_toml("odd")
OPTIONS = Options(hidden=4, epochs=9, dropout=0.5, lr=0.05, validate_every=2)
LOAD = Load(target=Target.OPERAND, base=0, count=1, address=0)


def outcome(trainer):
    """Everything that a training leaves behind."""
    state = trainer._training
    steps = range(trainer.options.epochs + 1)
    records = [trainer.resident.records(steps, inference=each) for each in (False, True)]
    return {
        "masters": [
            (each.weights.tolist(), each.momenta.tolist(), each.exponents())
            for each in state.masters
        ],
        "state": (state.step, state.used, state.wanted, state.judged),
        "scales": trainer.engine.device.scales().tolist(),
        "records": [{name: column.tolist() for name, column in each.items()} for each in records],
        "history": trainer.history,
        "clipped": (trainer.engine.saturations, trainer.clipped),
    }


def train(graph, transport, options=OPTIONS):
    """What a training leaves, and the device it ran on."""
    with Device(transport) as device:
        trainer = DeviceTrainer(graph, options, device)
        seen = []
        trainer.run(lambda epoch: seen.append(epoch.epoch))
        assert seen == list(range(1, trainer._training.step + 1))
        assert device.window.streaming == (device.window.need > device.window.size)
        return outcome(trainer), device


@pytest.mark.parametrize("frames", MOST_FRAMES.values(), ids=MOST_FRAMES)
@pytest.mark.parametrize(
    ("config", "classes", "part"),
    [("odd", 3, 2), ("odd", 3, 4), ("odd", 7, 3), ("banked", 6, 3), ("tall", 2, 3)],
)
def test_a_training_leaves_the_same_through_a_window(config, classes, part, frames, monkeypatch):
    monkeypatch.setattr(streaming, "MOST_FRAMES", frames)
    config = AcceleratorConfig.from_toml(config)
    graph = block_model(80, classes)
    expected, whole = train(graph, Model(config, ENOUGH))
    found, narrow = train(graph, Model(config, whole.memory.used // part))
    assert narrow.window.moved.runs > OPTIONS.epochs + whole.window.moved.runs
    assert found == expected
    assert [epoch.val is not None for epoch in expected["history"]] == 4 * [False, True] + [False]
    assert all(epoch.val_loss for epoch in expected["history"] if epoch.val is not None)
    # Each epoch leaves a record, and each judgement one.
    trained, judged = expected["records"]
    assert np.flatnonzero(trained["train_loss"]).tolist() == list(range(9))
    assert np.flatnonzero(judged["val_loss"]).tolist() == [2, 4, 6, 8]


def test_patience_ends_it_in_the_same_epoch():
    options = replace(OPTIONS, epochs=40, patience=4, lr=2.0)
    graph = block_model(80, 3)
    expected, whole = train(graph, Model(ODD, ENOUGH), options)
    step, *_, judged = expected["state"]
    assert step < options.epochs
    assert judged.worse == 2
    assert train(graph, Model(ODD, whole.memory.used // 4), options)[0] == expected


@pytest.mark.sim
def test_the_gateware_keeps_statistics_from_one_segment_to_the_next():
    graph = block_model(24)
    expected, whole = train(graph, Model(SMALLEST, ENOUGH))
    transport = connect("rtl:smallest", memory_megabytes=1)
    found, narrow = train(graph, Narrow(transport, whole.memory.used // 4))
    assert narrow.window.moved.runs > OPTIONS.epochs + whole.window.moved.runs
    assert found == expected


@pytest.mark.parametrize("part", [1, 4], ids=["enough memory", "a quarter"])
def test_an_interruption_ends_the_epoch_and_the_training_goes_on_to_the_same_bits(
    part, monkeypatch
):
    """Whether the epoch is one that is judged, the one after it, or the last."""
    graph = block_model(80, 3)
    options = replace(OPTIONS, epochs=8, patience=6)
    expected, whole = train(graph, Model(ODD, ENOUGH), options)
    model = Model(ODD, whole.memory.used // part + (part == 1) * ENOUGH)
    pressed, repeat = [], Sequencer.follow

    def follow(sequencer, command, **state):
        """Press Ctrl-C as one of some epochs ends."""
        if command.advance and sequencer.step + 1 in (2, 5, 8) and sequencer.step not in pressed:
            pressed.append(sequencer.step)
            state["finish"] = True
            os.kill(os.getpid(), signal.SIGINT)
        repeat(sequencer, command, **state)

    monkeypatch.setattr(Sequencer, "follow", follow)
    with Device(model) as device:
        trainer = DeviceTrainer(graph, options, device)
        for stop in (2, 5, 8):
            with pytest.raises(KeyboardInterrupt):
                trainer.run()
            assert [len(trainer.history), trainer._training.step] == [stop, stop]
            checkpoint = trainer.checkpoint()
            trainer = DeviceTrainer(graph, options, device)
            trainer.restore(checkpoint)
        trainer.run()
        left = outcome(trainer)
    # Records and clipped results are those of the last run.
    for name in ("masters", "state", "history"):
        assert left[name] == expected[name], name


def test_a_routine_of_loops_in_loops_does_as_many_steps_as_on_the_device():
    def scale(tensor):
        return Program.of(
            [LOAD, Scale(rule=Rule.SET, tensor=tensor, exponent=tensor, wanted=-tensor)],
            SMALLEST.digest,
        )

    routine = Routine(
        parts=[
            Part(program=scale(1)),
            Part(program=scale(2), repeat=Repeat(passes=3, loop=0, advance=1), back=1),
            Part(program=Program.of([], SMALLEST.digest)),
            Part(program=scale(4), repeat=Repeat(passes=5, loop=1), back=1),
        ],
        config=SMALLEST,
    )
    ends = []
    for words in (ENOUGH, 64):
        with Device(Model(SMALLEST, words)) as device:
            device.memory.allocate("data", 100)
            steps = []
            ended = device.run(routine, step=7, watch=steps.append).ended
            ends.append(
                (ended, steps, device.scales().tolist(), device.counters()["operand_words"])
            )
    assert ends[0][0].step == 7 + 15
    assert ends[0] == ends[1]


def test_a_repeat_that_is_not_the_last_is_refused():
    with Device(Model(SMALLEST, 64)) as device:
        device.memory.allocate("data", 100)
        with pytest.raises(ProgramError, match=r"command 1 \(repeat\) is not its program's last"):
            device.run(Program.of([LOAD, Repeat(), LOAD], SMALLEST.digest))
        assert device.run(Program.of([LOAD], SMALLEST.digest), step=8).ended.step == 8


@pytest.mark.parametrize(
    ("name", "step", "ahead", "inside"),
    [
        ("odd", 5, 20, slice(0, 32)),
        ("tall", 5, 1, slice(32, 64)),
        ("smallest", 3, 24, slice(0, 32)),
    ],
)
def test_lent_records_are_left_one_behind_the_other_and_belong_where_they_did(
    name, step, ahead, inside
):
    """The device adds what is `ahead` of the step's record, modulo ``2 ** 32``."""
    packing = AcceleratorConfig.from_toml(name).record
    fields = (900, 30, (1 << 32) - 1)
    losses = [
        Loss(count=1, classes=1, panels=1, address=0, labels=0, record=at, multiplier=1, logits=0)
        for at in fields
    ]
    words = encode([LOAD, *losses, LOAD])
    lent = lend_records(words, 77, step, packing)
    assert lent.homes == (900 + ahead, 30 + ahead, ahead - 1)
    assert lent.bytes_of == inside
    left = [(each.record + ahead) % (1 << 32) for each in decode(words)[1:-1]]
    assert left == [77 + number * packing.words_per_item for number in range(3)]
    assert (lent.address, lent.words) == (77, 3 * packing.words_per_item)
    first, *changed, last = decode(words)
    restored = [replace(each, record=at) for each, at in zip(changed, fields, strict=True)]
    assert [first, *restored, last] == [LOAD, *losses, LOAD]
