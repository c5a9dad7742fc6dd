# SPDX-License-Identifier: Apache-2.0
"""Random programs leave the same bits behind on the model and on the gateware."""

import numpy as np
import pytest

from gcnloom.device import Device
from gcnloom.device import open as open_device
from gcnloom_sim.random_programs import MEMORY_BYTES, random_program

pytestmark = pytest.mark.sim

CONFIGS = ("smallest", "odd", "short", "wide", "tall", "demo", "banked")
MEMORIES = ((1, 0), (8, 50), (40, 300))
"""Latency in cycles, and of 1,000 cycles those in which each side of the port is not ready."""
PROGRAMS = 60
TIMING = ("cycles", "_active", "_stalled", "_wait_")


def opened(name, config, **options) -> Device:
    device = open_device(f"{name}:{config}", memory_megabytes=1, **options)
    device.memory.allocate("data", MEMORY_BYTES // device.config.memory_bytes)
    return device


def outcome(device, memory, program, seed):
    """Everything that a run leaves behind, save what depends on time."""
    device.write_bytes(0, memory)
    result = device.run(program, seed=seed, step=seed ^ 0x5A5A)
    counters = {
        name: count
        for name, count in result.counters.items()
        if not any(part in name for part in TIMING)
    }
    return {
        "memory": np.frombuffer(device.read_bytes(0, device.memory.words), dtype=np.uint8),
        "envelopes": result.envelopes,
        "saturations": result.saturations,
        "counters": np.array(list(counters.values())),
    }


@pytest.mark.parametrize(("latency", "stalls"), MEMORIES)
@pytest.mark.parametrize("config", CONFIGS)
def test_model_and_gateware_agree_on_random_programs(config, latency, stalls):
    """One device runs them all, so that what a program leaves on chip meets the next one."""
    first = 1000 * CONFIGS.index(config) + 100 * MEMORIES.index((latency, stalls))
    options = {"latency": latency, "stall_per_mille": stalls, "seed": first + 1}
    with opened("model", config) as model, opened("rtl", config, **options) as rtl:
        for seed in range(first, first + PROGRAMS):
            rng = np.random.default_rng(seed)
            memory, program = random_program(model.config, rng, commands=40)
            expected = outcome(model, memory, program, seed)
            found = outcome(rtl, memory, program, seed)
            for name, values in expected.items():
                wrong = np.flatnonzero(values != found[name])
                assert not len(wrong), (
                    f"{config}, program seed {seed}, memory {options}: {len(wrong)} {name} differ, "
                    f"first at {wrong[0]}: model {values[wrong[0]]}, rtl {found[name][wrong[0]]}"
                )


def test_statistics_go_on_from_what_they_are_only_if_kept():
    """Runs of a program as one, two and three; the fourth starts anew."""
    with opened("model", "smallest") as model, opened("rtl", "smallest") as rtl:
        left = []
        for device in (model, rtl):
            memory, program = random_program(device.config, np.random.default_rng(4), commands=40)
            device.write_bytes(0, memory)
            address, found = device.load(program), []
            for keep in (False, True, True, False):
                device.window.run(address, len(program), 1, 2, keep=keep)
                found.append(device.window.statistics())
            left.append(found)
        for (envelopes, saturations), twin in zip(*left, strict=True):
            assert np.array_equal(envelopes, twin[0])
            assert np.array_equal(saturations, twin[1])
        clipped = [int(saturations.sum()) for _, saturations in left[1]]
        assert clipped[0] > 0
        assert clipped == [clipped[0], 2 * clipped[0], 3 * clipped[0], clipped[0]]
