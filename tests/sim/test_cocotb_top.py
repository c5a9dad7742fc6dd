# SPDX-License-Identifier: Apache-2.0
"""The whole accelerator on Verilator, its memory's three streams stalled or not."""

import pytest

from gcnloom_hw.top import Top
from gcnloom_sim.bench.harness import missing, simulate
from gcnloom_spec.config import AcceleratorConfig

pytestmark = [pytest.mark.sim, pytest.mark.skipif(missing() is not None, reason=str(missing()))]

SEED = 4000


@pytest.mark.parametrize("config", ["smallest", "odd"])
@pytest.mark.parametrize(("stalls", "latency"), [("none", 1), ("random", 8), ("bursts", 30)])
def test_random_programs_leave_what_they_leave_on_the_model(config, stalls, latency, tmp_path):
    simulate(
        Top,
        AcceleratorConfig.from_toml(config),
        "tests.sim.tb_cocotb_top",
        tmp_path,
        stalls=stalls,
        latency=latency,
        seed=SEED,
        programs=5,
    )
