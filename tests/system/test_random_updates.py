# SPDX-License-Identifier: Apache-2.0
"""Random programs with losses, weight steps and scales leave the same bits on both executors."""

import numpy as np
import pytest

from gcnloom.transport import Judged
from gcnloom_sim.random_programs import random_program
from tests.system.random_runs import MEMORIES, agree

pytestmark = pytest.mark.sim

CONFIGS = ("smallest", "odd", "wide", "tall", "banked", "sliced")
PROGRAMS = 50
STEPS = 97
"""Records of these steps have room."""


@pytest.mark.parametrize(("latency", "stalls"), MEMORIES)
@pytest.mark.parametrize("config", CONFIGS)
def test_model_and_gateware_agree_on_random_updates(config, latency, stalls):
    """One device runs them all, so that a program meets the scales that the last one left."""

    def make(sizes, seed):
        return random_program(sizes, np.random.default_rng(seed), 40, updates_in=seed % STEPS)

    first = 1000 * CONFIGS.index(config) + 100 * MEMORIES.index((latency, stalls))
    agree(
        config, first, PROGRAMS, latency, stalls, make, step=lambda seed: seed % STEPS,
        judged=lambda seed: Judged(best=seed << 9, worse=seed % 5),
    )  # fmt: skip
