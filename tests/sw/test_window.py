# SPDX-License-Identifier: Apache-2.0
"""Through a window on the host's memory everything comes out as with enough memory."""

from dataclasses import replace

import numpy as np
import pytest

from gcnloom.device import Device
from gcnloom.errors import MemoryFullError, ProgramError
from gcnloom.graphs import datasets
from gcnloom.programs.program import Program
from gcnloom.training.options import Options
from gcnloom.training.trainer import Trainer
from gcnloom.training.weights import weights_sha256
from gcnloom.transport import connect, streaming
from gcnloom_sim.model import Model
from gcnloom_sim.random_programs import MEMORY_BYTES, random_program
from gcnloom_spec.commands import Load
from gcnloom_spec.config import AcceleratorConfig
from gcnloom_spec.isa import COMMAND_BYTES, Target
from gcnloom_spec.memories import buffer_bytes
from tests.sw.graphs import block_model

ODD = AcceleratorConfig.from_toml("odd")
BANKED = AcceleratorConfig.from_toml("banked")
SMALLEST = AcceleratorConfig.from_toml("smallest")
ENOUGH = 1 << 20
MOST_FRAMES = {"a page a word": 1 << 14, "pages of words": 60}
INTERRUPTED = (3, 7, 20, 50)
"""Calls at which Ctrl-C is pressed."""
OPTIONS = Options(hidden=4, epochs=3, dropout=0.5, lr=0.05)


class Narrow:
    """A transport only so many words of whose memory are the device's own."""

    def __init__(self, transport, words):
        self._transport, self._words = transport, words

    def __getattr__(self, name):
        return getattr(self._transport, name)

    def identity(self):
        return replace(self._transport.identity(), memory_words=self._words)


def train(graph, transport, options=OPTIONS):
    """Weights after a training, and the device they come from."""
    with Device(transport) as device:
        trainer = Trainer(graph, options, device)
        trainer.run()
        return weights_sha256(trainer.weights), device


@pytest.mark.parametrize("frames", MOST_FRAMES.values(), ids=MOST_FRAMES)
@pytest.mark.parametrize("part", [2, 4])
def test_a_part_of_the_memory_leads_to_the_same_weights(part, frames, monkeypatch):
    monkeypatch.setattr(streaming, "MOST_FRAMES", frames)
    graph = block_model(80, 3)
    expected, whole = train(graph, Model(ODD, ENOUGH))
    found, narrow = train(graph, Model(ODD, whole.memory.used // part))
    assert narrow.window.moved.runs > 2 * whole.window.moved.runs
    assert found == expected
    # What is useful is the same, whatever ran at once.
    for name in ("commands", "edges", "drain_entries", "transform_rows", "store_words"):
        assert narrow.counters()[name] == whole.counters()[name]


@pytest.mark.sim
def test_the_gateware_keeps_on_chip_what_the_next_segment_finds_there():
    graph = block_model(24)
    expected, whole = train(graph, Model(SMALLEST, ENOUGH))
    transport = connect("rtl:smallest", memory_megabytes=1)
    found, narrow = train(graph, Narrow(transport, whole.memory.used // 4))
    assert narrow.window.moved.runs > 4 * whole.window.moved.runs
    assert found == expected


def test_a_graph_ten_times_as_large_as_what_is_on_chip():
    graph = datasets.load("rmat:8,16", seed=2)
    on_chip = buffer_bytes(BANKED)
    expected, whole = train(graph, Model(BANKED, ENOUGH), replace(OPTIONS, epochs=2))
    assert whole.window.need > 10 * on_chip
    window = Model(BANKED, on_chip // BANKED.memory_bytes)
    found, narrow = train(graph, window, replace(OPTIONS, epochs=2))
    assert narrow.window.need > 10 * narrow.window.size
    assert found == expected


@pytest.mark.parametrize("frames", MOST_FRAMES.values(), ids=MOST_FRAMES)
def test_random_programs_leave_the_same_words_and_statistics(frames, monkeypatch):
    monkeypatch.setattr(streaming, "MOST_FRAMES", frames)
    words = MEMORY_BYTES // ODD.memory_bytes
    devices = [Device(Model(ODD, size)) for size in (ENOUGH, words // 16)]
    for device in devices:
        device.memory.allocate("data", words)
    for seed in range(40):
        rng = np.random.default_rng(seed)
        memory, program = random_program(ODD, rng, commands=40)
        results = []
        for device in devices:
            device.write_bytes(0, memory)
            result = device.run(program, seed=seed, step=7)
            del result.counters["program_words"]
            # A page that the device has changed is overwritten in part.
            device.write_bytes(seed * 90, bytes(3 * ODD.memory_bytes))
            envelopes, saturations = result.envelopes.tolist(), result.saturations.tolist()
            results.append((device.read_bytes(0, words), result.counters, envelopes, saturations))
        assert results[0] == results[1], f"program seed {seed}"
    assert devices[1].window.moved.runs > 2 * devices[0].window.moved.runs


def test_a_window_too_small_for_a_step_says_what_would_do():
    with pytest.raises(MemoryFullError, match=r"bytes of device memory at once and 48 are") as e:
        train(block_model(), Model(ODD, 48 // ODD.memory_bytes))
    assert e.value.remedy == "a device with at least 1 MiB"


@pytest.mark.parametrize("name", ["read", "write", "run"])
def test_an_interrupted_training_goes_on_to_the_same_bits(name, monkeypatch):
    graph = block_model(80, 3)
    expected, whole = train(graph, Model(ODD, ENOUGH))
    model = Model(ODD, whole.memory.used // 4)
    calls, method = [], getattr(model, name)

    def interrupted(*arguments, **options):
        calls.append(name)
        if len(calls) in INTERRUPTED:
            raise KeyboardInterrupt
        return method(*arguments, **options)

    monkeypatch.setattr(model, name, interrupted)
    with Device(model) as device:
        trainer = Trainer(graph, OPTIONS, device)
        for _ in INTERRUPTED:
            with pytest.raises(KeyboardInterrupt):
                trainer.run()
            trainer.restore(trainer.checkpoint())
        trainer.run()
        assert weights_sha256(trainer.weights) == expected


def test_what_lay_in_the_memory_before_more_was_placed_is_still_there(monkeypatch):
    monkeypatch.setattr(streaming, "MOST_FRAMES", 10)
    rng = np.random.default_rng(6)
    first, second = (rng.bytes(words * SMALLEST.memory_bytes) for words in (125, 80))
    with Device(Model(SMALLEST, 128)) as device:
        device.memory.allocate("first", 125)
        device.write_bytes(0, first)
        assert not device.window.streaming
        device.memory.allocate("second", 80)
        device.write_bytes(125, second)
        assert device.window.streaming
        device.run(loads(0, 60, 120, 180))
        assert device.read_bytes(0, 205) == first + second
        device.clear()
        assert not device.window.streaming


def test_an_illegal_program_is_told_of_by_the_place_of_its_segment():
    load = Load(target=Target.OPERAND, base=0, count=8, address=0)
    commands = [load, load, replace(load, waits=16)] * 20
    with Device(Model(SMALLEST, 64)) as device:
        device.memory.allocate("data", 100)
        with pytest.raises(ProgramError, match=r"commands \d+\.\.\d+ of the program: .*no earlier"):
            device.run(Program.of(commands, SMALLEST.digest))


def loads(*addresses):
    """Loads of eight words each."""
    items = SMALLEST.vector.items_per_word
    return Program.of(
        [Load(target=Target.OPERAND, base=0, count=8 * items, address=a) for a in addresses],
        SMALLEST.digest,
    )


class TestBytes:
    """Every byte that goes over the link is one that has to."""

    DATA = 160
    WINDOW = 128
    EACH = 8 * SMALLEST.memory_bytes

    @pytest.fixture
    def device(self):
        with Device(Model(SMALLEST, self.WINDOW)) as device:
            device.memory.allocate("data", self.DATA)
            device.write_bytes(0, bytes(range(160)) * SMALLEST.memory_bytes)
            yield device

    def moved(self, device, act):
        """What some action sends but for commands, and receives."""
        before, commands = device.window.moved, device.counters().get("commands", 0)
        act()
        moved = device.window.moved - before
        more = device.counters().get("commands", 0) - commands
        return moved.sent - more * COMMAND_BYTES, moved.received

    def test_nothing_is_sent_before_it_is_used(self, device):
        assert device.window.moved.bytes == 0
        assert self.moved(device, lambda: device.read_bytes(0, 100)) == (0, 0)

    def test_what_is_there_is_not_sent_again_unless_it_was_changed(self, device):
        def run():
            device.run(loads(0, 40, 0, 80))

        assert self.moved(device, run) == (3 * self.EACH, 0)
        assert self.moved(device, run) == (0, 0)
        device.write_bytes(0, device.read_bytes(0, 8))
        assert self.moved(device, run) == (0, 0)
        device.write_bytes(40, bytes(self.EACH))
        assert self.moved(device, run) == (self.EACH, 0)

    @pytest.mark.parametrize("programs", [1, 2, 5])
    def test_going_round_more_than_fits_keeps_most_of_it(self, device, programs):
        """Of 20 pieces, 15 are there beside commands; to drop the oldest would send all again."""
        pieces = np.random.default_rng(4).permutation(np.arange(0, 160, 8))
        rounds = [loads(*part.tolist()) for part in np.array_split(pieces, programs)]

        def run():
            for program in rounds:
                device.run(program)

        assert self.moved(device, run)[0] == 20 * self.EACH
        sent = [self.moved(device, run)[0] // self.EACH for _ in range(6)]
        assert 4 <= min(sent)
        assert max(sent[1:]) <= 7
