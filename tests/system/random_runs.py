# SPDX-License-Identifier: Apache-2.0
"""Random programs on the model and on the gateware, and all that they leave behind."""

import numpy as np

from gcnloom.device import Device
from gcnloom.device import open as open_device
from gcnloom.transport import NOTHING_JUDGED
from gcnloom_sim.random_programs import MEMORY_BYTES

MEMORIES = ((1, 0), (8, 50), (40, 300))
"""Latency in cycles, and of 1,000 cycles those in which each side of the port is not ready."""
TIMING = ("cycles", "_active", "_stalled", "_wait_")


def opened(name, config, **options) -> Device:
    device = open_device(f"{name}:{config}", memory_megabytes=1, **options)
    device.memory.allocate("data", MEMORY_BYTES // device.config.memory_bytes)
    return device


def outcome(device, memory, program, *, seed, step=None, judged=NOTHING_JUDGED):
    """Everything that a run leaves behind, save what depends on time."""
    device.write_bytes(0, memory)
    step = seed ^ 0x5A5A if step is None else step
    result = device.run(program, seed=seed, step=step, judged=judged)
    counters = {
        name: count
        for name, count in result.counters.items()
        if not any(part in name for part in TIMING)
    }
    return {
        "memory": np.frombuffer(device.read_bytes(0, device.memory.words), dtype=np.uint8),
        "envelopes": result.envelopes,
        "saturations": result.saturations,
        "scales": device.scales().reshape(-1),
        "judged": np.array([result.ended.judged.best, result.ended.judged.worse], dtype=np.uint64),
        "counters": np.array(list(counters.values())),
    }


def agree(config, first, programs, latency, stalls, make, **keys):
    """Run programs `first` to ``first + programs - 1`` on both executors, one device for all.

    `make` takes a configuration and a seed; `keys` give, by name, what a seed has the run begin
    with.
    """
    options = {"latency": latency, "stall_per_mille": stalls, "seed": first + 1}
    with opened("model", config) as model, opened("rtl", config, **options) as rtl:
        for seed in range(first, first + programs):
            memory, program = make(model.config, seed)
            begins = {name: of(seed) for name, of in keys.items()}
            expected = outcome(model, memory, program, seed=seed, **begins)
            found = outcome(rtl, memory, program, seed=seed, **begins)
            for name, values in expected.items():
                wrong = np.flatnonzero(values != found[name])
                assert not len(wrong), (
                    f"{config}, program seed {seed}, memory {options}: {len(wrong)} {name} differ, "
                    f"first at {wrong[0]}: model {values[wrong[0]]}, rtl {found[name][wrong[0]]}"
                )
