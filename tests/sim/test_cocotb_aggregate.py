# SPDX-License-Identifier: Apache-2.0
"""The sparse engine on Verilator, stalled on every stream."""

import pytest

from gcnloom_hw.aggregate.engine import AggregateEngine
from gcnloom_sim.bench.harness import missing, simulate
from gcnloom_spec.config import AcceleratorConfig

pytestmark = [pytest.mark.sim, pytest.mark.skipif(missing() is not None, reason=str(missing()))]


@pytest.mark.parametrize("stalls", ["none", "random", "bursts"])
@pytest.mark.parametrize("name", ["smallest"])
def test_sparse_engine_emits_what_the_loops_say(name, stalls, tmp_path):
    config = AcceleratorConfig.from_toml(name)
    module = "tests.sim.tb_cocotb_aggregate"
    simulate(AggregateEngine, config, module, tmp_path, stalls=stalls, seed=31)
