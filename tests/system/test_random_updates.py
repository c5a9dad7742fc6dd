# SPDX-License-Identifier: Apache-2.0
"""Random programs with losses, weight steps and scales leave the same bits on both executors."""

import numpy as np
import pytest

from gcnloom.transport import Judged
from gcnloom_sim.random_programs import random_program
from tests.system.test_random_programs import MEMORIES, TIMING, opened

pytestmark = pytest.mark.sim

CONFIGS = ("smallest", "odd", "wide", "tall", "banked")
PROGRAMS = 50
STEPS = 97
"""Records of these steps have room."""
UNCOUNTED = (*TIMING, "store_words")
"""The gateware's count of words written has those of the update unit in it."""


def outcome(device, memory, program, seed):
    """Everything that a run leaves behind, save what depends on time."""
    device.write_bytes(0, memory)
    judged = Judged(best=seed << 9, worse=seed % 5)
    result = device.run(program, seed=seed, step=seed % STEPS, judged=judged)
    counters = {
        name: count
        for name, count in result.counters.items()
        if not any(part in name for part in UNCOUNTED)
    }
    return {
        "memory": np.frombuffer(device.read_bytes(0, device.memory.words), dtype=np.uint8),
        "envelopes": result.envelopes,
        "saturations": result.saturations,
        "scales": device.scales().reshape(-1),
        "judged": np.array([result.ended.judged.best, result.ended.judged.worse], dtype=np.uint64),
        "counters": np.array(list(counters.values())),
    }


@pytest.mark.parametrize(("latency", "stalls"), MEMORIES)
@pytest.mark.parametrize("config", CONFIGS)
def test_model_and_gateware_agree_on_random_updates(config, latency, stalls):
    """One device runs them all, so that a program meets the scales that the last one left."""
    first = 1000 * CONFIGS.index(config) + 100 * MEMORIES.index((latency, stalls))
    options = {"latency": latency, "stall_per_mille": stalls, "seed": first + 1}
    with opened("model", config) as model, opened("rtl", config, **options) as rtl:
        for seed in range(first, first + PROGRAMS):
            rng = np.random.default_rng(seed)
            memory, program = random_program(model.config, rng, 40, updates_in=seed % STEPS)
            expected = outcome(model, memory, program, seed)
            found = outcome(rtl, memory, program, seed)
            for name, values in expected.items():
                wrong = np.flatnonzero(values != found[name])
                assert not len(wrong), (
                    f"{config}, program seed {seed}, memory {options}: {len(wrong)} {name} differ, "
                    f"first at {wrong[0]}: model {values[wrong[0]]}, rtl {found[name][wrong[0]]}"
                )
