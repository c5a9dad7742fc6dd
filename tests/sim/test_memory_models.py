# SPDX-License-Identifier: Apache-2.0
"""Memory models keep to the data sheet's rules and to arithmetic, and change no bit."""

import ctypes
import subprocess
from dataclasses import fields, replace
from pathlib import Path

import numpy as np
import pytest

from gcnloom.errors import ConfigError
from gcnloom_sim import memory as models
from gcnloom_sim.memory import DRAMS, IDEAL, Bus, Dram, memory_model, numbers
from tests.sim.slow_memory import SlowBus, SlowDram, serve

SDRAM, DDR3 = DRAMS["sdram16"], DRAMS["ddr3-16"]
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
    ],
)
def test_a_model_is_read_from_text_and_printed_so_that_it_is_read_again(text, model):
    assert memory_model(text) == model
    assert memory_model(str(model)) == model
    assert memory_model(model) is model


@pytest.mark.parametrize(
    "text", ["", "fast", "0", "16/0", "-1", "16/", "/8", "1.5", "ideal/x", "sdram16/8", "99999"]
)
def test_what_is_no_model_is_refused_with_a_remedy(text):
    with pytest.raises(ConfigError, match="; try"):
        memory_model(text)


def test_a_latency_goes_with_a_bus_only():
    assert memory_model("16/20", 3) == Bus(bytes_per_cycle=16, latency=3)
    with pytest.raises(ConfigError, match="latency=3 is given with sdram16"):
        memory_model("sdram16", 3)


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


def random_dram(rng):
    """Timings that no part has, so that every one matters."""
    times = {
        item.name: int(rng.integers(1, 12))
        for item in fields(Dram)
        if item.name not in ("name", "refresh", "refresh_interval")
    }
    width = int(rng.choice([1, 2, 4, 8]))
    most = width * int(rng.choice([1, 2, 4, 8]))
    return Dram(
        **times
        | {
            "name": "random",
            "bytes_per_clock": width,
            "least_burst": int(rng.choice([width, most])),
            "most_burst": most,
            "row_bytes": 256 * int(rng.integers(1, 4)),
            "refresh": int(rng.integers(1, 30)),
            "refresh_interval": int(rng.integers(60, 400)),
        }
    )


def random_requests(rng, word_bytes, count):
    """Runs of neighbours at a few places, now in a hurry, now not."""
    start = rng.integers(0, 8192 // word_bytes, count)
    breaks = rng.random(count) < 0.3
    places = np.where(breaks, start, 0)
    for index in range(1, count):
        if not breaks[index]:
            places[index] = places[index - 1] + 1
    gaps = np.where(rng.random(count) < 0.1, rng.integers(0, 300, count), rng.integers(0, 3, count))
    return list(zip(np.cumsum(gaps).tolist(), places.tolist(), strict=True))


@pytest.mark.parametrize("seed", range(15))
def test_requests_take_as_long_as_clock_by_clock(compiled, seed):
    rng = np.random.default_rng(seed)
    word_bytes = int(rng.choice([4, 16, 64, 256]))
    reads, writes = (random_requests(rng, word_bytes, 150) for _ in range(2))
    bus = Bus(bytes_per_cycle=int(rng.integers(1, 100)), latency=int(rng.integers(1, 50)))
    for model in (SDRAM, DDR3, random_dram(rng), bus):
        slow = (SlowBus if isinstance(model, Bus) else SlowDram)(model, word_bytes)
        expected = [(request.accepted, request.due) for request in serve(slow, reads, writes)]
        assert fast(compiled, model, word_bytes, reads, writes) == expected, (model, word_bytes)
