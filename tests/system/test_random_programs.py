# SPDX-License-Identifier: Apache-2.0
"""Random programs leave the same bits behind on the model and on the gateware."""

import numpy as np
import pytest

from gcnloom_sim.random_programs import random_program
from tests.system.random_runs import MEMORIES, agree, opened

pytestmark = pytest.mark.sim

CONFIGS = ("smallest", "odd", "short", "wide", "tall", "demo", "banked", "sliced", "least")
PROGRAMS = 60


@pytest.mark.parametrize(("latency", "stalls"), MEMORIES)
@pytest.mark.parametrize("config", CONFIGS)
def test_model_and_gateware_agree_on_random_programs(config, latency, stalls):
    """One device runs them all, so that what a program leaves on chip meets the next one."""

    def make(sizes, seed):
        return random_program(sizes, np.random.default_rng(seed), commands=40)

    first = 1000 * CONFIGS.index(config) + 100 * MEMORIES.index((latency, stalls))
    agree(config, first, PROGRAMS, latency, stalls, make)


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
