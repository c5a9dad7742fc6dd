# SPDX-License-Identifier: Apache-2.0
"""Whole trainings as one run: model and gateware agree, and what goes wrong is survived."""

import signal

import numpy as np
import pytest

from gcnloom.device import open as open_device
from gcnloom.errors import DeviceError, ProgramError
from gcnloom.programs.program import Program
from gcnloom.programs.routine import Part, Routine
from gcnloom.transport import registers
from gcnloom_sim import rtl
from gcnloom_spec.commands import Load, Repeat, Scale
from gcnloom_spec.config import AcceleratorConfig
from gcnloom_spec.isa import Rule, Target, Unit
from tests.sw.graphs import block_model
from tests.sw.test_resident import resident, summary

pytestmark = pytest.mark.sim

SMALLEST = AcceleratorConfig.from_toml("smallest")


def of(*commands, config=SMALLEST):
    return Program.of(commands, config.digest)


def trained(spec, graph, runs, interrupt_at=None, **options):
    """State, records and memory after runs of so many epochs."""
    with open_device(spec, memory_megabytes=1, **options) as device:
        training, weights = resident(graph, device)
        state, states = training.first(weights), []
        due = [] if interrupt_at is None else [interrupt_at]

        def watch(step):
            if due and step >= due[0]:
                due.clear()
                signal.raise_signal(signal.SIGINT)

        for epochs in runs:
            state, result = training.run(state, epochs, watch)
            states.append(summary(state))
            states.append(device.scales().tolist())
            if result.ended.interrupted:
                break
        records = training.records(range(state.step), inference=False)
        memory = device.read_bytes(0, device.memory.words)
        return states, {name: each.tolist() for name, each in records.items()}, memory


@pytest.mark.parametrize(
    ("name", "latency", "stalls", "seed"),
    [("smallest", 1, 0, 3), ("odd", 9, 60, 4), ("tall", 1, 0, 5), ("tall", 30, 300, 6)],
)
def test_a_training_leaves_the_same_bits_on_model_and_gateware(name, latency, stalls, seed):
    """The second run finds the statistics and scales of the first."""
    graph = block_model(nodes=24, seed=seed)
    expected = trained(f"model:{name}", graph, [2, 2])
    found = trained(
        f"rtl:{name}", graph, [2, 2], latency=latency, stall_per_mille=stalls, seed=seed
    )  # fmt: skip
    assert found[:2] == expected[:2]
    assert found[2] == expected[2]


def test_an_interruption_ends_a_run_with_the_epoch_under_way(monkeypatch):
    monkeypatch.setattr(rtl, "WATCHED", 1 << 12)
    graph = block_model(nodes=24)
    states, records, _ = trained("rtl:smallest", graph, [5000], interrupt_at=1)
    step = states[0][4]
    assert 2 <= step < 100
    assert len(records["train_loss"]) == step
    # The weights are those of a training that was to end there.
    even = step - step % 2
    expected, whole, _ = trained("model:smallest", graph, [even, *[1] * (step % 2)])
    assert records == whole
    assert states[0][0] == expected[-2][0]


@pytest.fixture
def device():
    with open_device("rtl:smallest", memory_megabytes=1) as device:
        device.memory.allocate("data", 64)
        yield device


def works(device):
    rng = np.random.default_rng(1)
    left, right = rng.integers(-60, 60, (12, 9)), rng.integers(-60, 60, (9, 5))
    return np.array_equal(device.gemm(left, right), left @ right)


def scale(exponent, **tokens):
    return Scale(rule=Rule.SET, tensor=3, exponent=exponent, wanted=7, **tokens)


def test_the_watchdog_ends_a_run_in_which_nothing_moves(device, monkeypatch):
    """It waits in a loop's second program; the scales outlive the abandoned run."""
    monkeypatch.setattr(registers, "WATCHDOG", 5000)
    parts = [Part(program=of(scale(-5))), Part(program=of(scale(9, waits=1 << Unit.LOAD)))]
    with pytest.raises(DeviceError, match=r"hangs after \d{4,5} cycles and \d .*update_wait_load"):
        device.run(Routine(parts=parts, config=SMALLEST))
    assert device.scales()[:, 3].tolist() == [-5, 7, 0]
    assert works(device)
    device.run(of(scale(11)))
    assert device.scales()[:, 3].tolist() == [11, 7, 0]


def test_a_long_run_in_which_something_moves_is_not_ended(device, monkeypatch):
    monkeypatch.setattr(registers, "WATCHDOG", 600)
    part = Part(program=of(*[scale(1)] * 3), repeat=Repeat(passes=60, loop=0, advance=1))
    result = device.run(Routine(parts=[part], config=SMALLEST), step=40)
    assert result.ended.step == 100
    assert result.counters["cycles"] > 2000
    assert result.counters["commands"] == 60 * 4


def test_a_repeat_in_mid_program_is_a_fault_on_both(device):
    load = Load(target=Target.LEFT, base=0, count=1, address=0)
    program = Program.of([load, Repeat(), load], SMALLEST.digest)
    with pytest.raises(DeviceError, match="unknown opcode after 1 of 3 commands"):
        device.run(program)
    assert works(device)
    with open_device("model:smallest", memory_megabytes=1) as model:
        with pytest.raises(ProgramError, match="a repeat that is not a program's last"):
            model.run(program)


@pytest.mark.parametrize("seed", range(3))
def test_random_loops_run_alike_on_model_and_gateware(device, seed):
    """Programs of scales, whose loops and steps can be told from what is left and counted."""
    rng = np.random.default_rng(seed)
    loops = rng.permutation(3)
    parts = [
        Part(
            program=of(*[scale(int(rng.integers(-99, 99))) for _ in range(rng.integers(1, 12))]),
            repeat=Repeat(
                passes=int(rng.integers(1, 4)), loop=int(loops[number]),
                advance=int(rng.integers(2)),
            ),
            back=int(rng.integers(number + 1)),
        )
        for number in range(3)
    ]  # fmt: skip
    routine = Routine(parts=parts, config=SMALLEST)
    found = device.run(routine, step=2**32 - 2)
    with open_device("model:smallest", memory_megabytes=1) as model:
        expected = model.run(routine, step=2**32 - 2)
        assert device.scales().tolist() == model.scales().tolist()
    assert found.ended == expected.ended
    for name in ("commands", "program_words"):
        assert found.counters[name] == expected.counters[name]
