# SPDX-License-Identifier: Apache-2.0
"""Memory models keep to the data sheet's rules and to arithmetic, and change no bit."""

import ctypes
import subprocess
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from gcnloom.device import open as open_device
from gcnloom.errors import ConfigError
from gcnloom.graphs import datasets
from gcnloom.programs.program import Program
from gcnloom_sim import memory as models
from gcnloom_sim.memory import DRAMS, IDEAL, Bus, Tiered, memory_model, numbers
from gcnloom_sim.random_programs import random_program
from gcnloom_spec.commands import Load
from gcnloom_spec.config import AcceleratorConfig
from gcnloom_spec.isa import Target
from tests.sim.memory_requests import random_bus, random_dram, random_requests, random_tiers
from tests.sim.slow_memory import serve, slow
from tests.system.random_runs import opened, outcome
from tests.system.training import train

SDRAM, DDR3 = DRAMS["sdram16"], DRAMS["ddr3-16"]
MODELS = ("ideal", "8/20", "2/30", "sdram16", "ddr3-16", "sdram16+1K")
U64 = ctypes.c_uint64


@pytest.mark.parametrize(
    ("text", "model"),
    [
        ("ideal", IDEAL),
        ("ideal/40", Bus(latency=40)),
        ("16", Bus(bytes_per_cycle=16)),
        ("128/1", Bus(bytes_per_cycle=128, latency=1)),
        ("sdram16", SDRAM),
        ("ddr3-16", DDR3),
        ("sdram16+128K", Tiered(near_kilobytes=128, far=SDRAM)),
        ("4/30+1K", Tiered(near_kilobytes=1, far=Bus(bytes_per_cycle=4, latency=30))),
    ],
)
def test_a_model_is_read_from_text_and_printed_so_that_it_is_read_again(text, model):
    assert memory_model(text) == model
    assert memory_model(str(model)) == model
    assert memory_model(model) is model


@pytest.mark.parametrize(
    "text",
    [
        "", "fast", "0", "16/0", "-1", "16/", "/8", "1.5", "ideal/x", "sdram16/8", "99999",
        "sdram16+", "sdram16+0K", "sdram16+12", "sdram16+99999K", "ideal+8K", "8+8K+8K", "+8K",
    ],
)  # fmt: skip
def test_what_is_no_model_is_refused_with_a_remedy(text):
    with pytest.raises(ConfigError, match="; try"):
        memory_model(text)


def test_a_latency_goes_with_a_bus_only():
    assert memory_model("16/20", 3) == Bus(bytes_per_cycle=16, latency=3)
    assert memory_model("16/20+8K", 3) == memory_model("16/3+8K")
    for text in ("sdram16", "sdram16+8K"):
        with pytest.raises(ConfigError, match="latency=3 is given with sdram16"):
            memory_model(text, 3)


@pytest.mark.parametrize(
    "wrong",
    [
        {"banks": 0},
        {"refresh": -1},
        {"write": -1},
        {"row_bytes": 1000},
        {"least_burst": 32},
        {"refresh_interval": 9},
        {"turn": 1.5},
    ],
)
def test_impossible_timings_are_refused(wrong):
    with pytest.raises(ConfigError, match="; try"):
        replace(SDRAM, **wrong)


@pytest.fixture(scope="module")
def compiled(tmp_path_factory):
    """The simulator's timing, compiled alone."""
    source = Path(__file__).with_name("memory_hook.cpp")
    target = tmp_path_factory.mktemp("hook") / "hook.so"
    include = Path(models.__file__).parent
    try:
        subprocess.run(
            ["g++", "-O1", "-std=c++17", "-shared", "-fPIC", f"-I{include}", source, "-o", target],
            check=True,
        )
    except FileNotFoundError:
        pytest.skip("g++ is not installed")
    return ctypes.CDLL(str(target)).serve


def fast(compiled, model, word_bytes, reads, writes):
    """When each request was accepted and done, reads first."""
    listed = numbers(model)
    both = [*reads, *writes]
    asked, addresses = ((U64 * len(both))(*column) for column in zip(*both, strict=True))
    accepted, due = (U64 * len(both))(), (U64 * len(both))()
    count = (U64 * 2)(len(reads), len(writes))
    model = (ctypes.c_uint32 * len(listed))(*listed)
    compiled(model, word_bytes, count, asked, addresses, accepted, due)
    return list(zip(accepted, due, strict=True))


@pytest.mark.parametrize("seed", range(15))
def test_requests_take_as_long_as_clock_by_clock(compiled, seed):
    rng = np.random.default_rng(seed)
    word_bytes = int(rng.choice([4, 16, 64, 256]))
    reads, writes = (random_requests(rng, word_bytes, 150) for _ in range(2))
    for model in (SDRAM, DDR3, random_dram(rng), random_bus(rng), random_tiers(rng)):
        served = serve(slow(model, word_bytes), reads, writes)
        found = fast(compiled, model, word_bytes, reads, writes)
        accepted = [request.accepted for request in served]
        assert [at for at, _ in found] == accepted, (model, word_bytes)
        answered = [request.due for request in served if not request.write]
        assert [due for _, due in found[: len(reads)]] == answered, (model, word_bytes)


def reads_of(compiled, model, addresses, word_bytes=16):
    """When each of many reads is answered that all ask at once."""
    return np.array(
        [due for _, due in fast(compiled, model, word_bytes, [(0, a) for a in addresses], [])]
    )


def calm(model):
    """The model as if it was never refreshed in so short a time."""
    return replace(model, refresh_interval=1 << 16)


@pytest.mark.parametrize(("model", "clocks"), [(SDRAM, 8), (DDR3, 2)])
def test_words_of_an_open_row_stream_without_gaps_at_the_latency_of_their_sum(
    compiled, model, clocks
):
    due = reads_of(compiled, calm(model), range(60))
    latency = model.request + model.activate + model.read + clocks - 1 + model.answer
    assert due.tolist() == (latency + clocks * np.arange(60)).tolist()


def test_a_long_stream_runs_at_the_pins_rate_less_refreshes(compiled):
    """A refresh costs closing, refreshing and opening: 2 + 7 + 2 of 781 clocks."""
    due = reads_of(compiled, SDRAM, range(50_000))
    assert 16 * 50_000 / due[-1] == pytest.approx(2 * (1 - 11 / 781), rel=1e-4)


def test_a_ddr3_stream_loses_refreshes_and_a_little_at_each_row(compiled):
    """Refreshes close all rows, and opening the next takes a clock longer than a word."""
    due = reads_of(compiled, DDR3, range(50_000))
    assert 16 * 50_000 / due[-1] == pytest.approx(8 * 256 / 257 * (1 - 20 / 780), rel=5e-4)


@pytest.mark.parametrize(("model", "clocks"), [(SDRAM, 8), (DDR3, 2)])
def test_rows_of_one_bank_in_turn_cost_closing_and_opening_each_time(compiled, model, clocks):
    apart = model.banks * model.row_bytes // 16
    due = reads_of(compiled, calm(model), [apart * (index % 2) for index in range(40)])
    assert set(np.diff(due)) == {clocks + model.precharge + model.activate}


def test_rows_of_two_banks_in_turn_stay_open(compiled):
    due = reads_of(compiled, calm(SDRAM), [64 * (index % 2) for index in range(40)])
    assert set(np.diff(due)) == {8}


@pytest.mark.parametrize(("model", "pair"), [(SDRAM, 20), (DDR3, 10)])
def test_reads_and_writes_in_turn_pay_for_turning_the_bus(compiled, model, pair):
    """SDRAM: 16 clocks of data, one between read and write, CAS latency before the read."""
    model = replace(calm(model), turn=1)
    every = [(0, 0)] * 40
    due = [due for _, due in fast(compiled, model, 16, every, every)]
    assert set(np.diff(due[:40])[2:]) == {pair}


def test_a_short_word_costs_a_ddr3_a_whole_burst(compiled):
    assert set(np.diff(reads_of(compiled, calm(DDR3), range(40), 4))) == {2}
    assert set(np.diff(reads_of(compiled, calm(SDRAM), range(40), 4))) == {2}
    assert set(np.diff(reads_of(compiled, calm(DDR3), range(30), 64))) == {8}


@pytest.mark.sim
@pytest.mark.parametrize("stalls", [0, 200])
@pytest.mark.parametrize("config", ["smallest", "demo"])
def test_programs_leave_the_same_bits_in_every_memory(config, stalls):
    programs = [
        random_program(AcceleratorConfig.from_toml(config), np.random.default_rng(seed), 60)
        for seed in range(4)
    ]
    with opened("model", config) as device:
        expected = [outcome(device, *program, seed=3) for program in programs]
    cycles = {}
    for memory in MODELS:
        with opened("rtl", config, memory=memory, stall_per_mille=stalls) as device:
            for program, left in zip(programs, expected, strict=True):
                found = outcome(device, *program, seed=3)
                assert all(np.array_equal(left[name], found[name]) for name in left), memory
            cycles[memory] = device.counters()["cycles"]
    assert len(set(cycles.values())) == len(MODELS)
    assert cycles["ideal"] < cycles["2/30"]


@pytest.mark.sim
def test_training_leaves_the_same_weights_with_every_memory():
    graph = datasets.load("sbm:60,3", seed=0)
    expected = train(graph, "model:smallest", epochs=2, hidden=4).bits()
    for memory in MODELS:
        trained = train(graph, "rtl:smallest", epochs=2, hidden=4, memory=memory)
        assert trained.bits() == expected, memory


@pytest.mark.sim
def test_a_program_takes_the_same_time_whatever_ran_before():
    config = AcceleratorConfig.from_toml("demo")
    data, program = random_program(config, np.random.default_rng(0), 60)
    for memory in MODELS:
        with opened("rtl", "demo", memory=memory) as device:
            outcome(device, data, program, seed=1)  # the first run waits for the reset's end
            cycles = set()
            for _ in range(3):
                device.write_bytes(0, data)
                cycles.add(device.run(program, seed=1).counters["cycles"])
            assert len(cycles) == 1, memory


@pytest.mark.sim
@pytest.mark.parametrize(("memory", "rate"), [("8", 8), ("4/40", 4), ("sdram16", 1.97)])
def test_loads_run_at_the_memorys_rate(memory, rate):
    config = AcceleratorConfig.from_toml("demo")
    load = Load(target=Target.EDGES, base=0, count=config.edge_depth, address=64)
    program = Program.of([load] * 4, config.digest)
    with opened("rtl", "demo", memory=memory) as device:
        counters = device.run(program).counters
    words = sum(count for name, count in counters.items() if name.endswith("_words"))
    assert 16 * words / counters["cycles"] == pytest.approx(rate, rel=0.01)


@pytest.mark.sim
def test_a_memory_means_nothing_to_the_model():
    with pytest.raises(ConfigError, match="the model has no clock; try it with device rtl"):
        open_device("model:odd", memory="sdram16")
