# SPDX-License-Identifier: Apache-2.0
"""The compute engines and the epilogue on Verilator, stalled on every stream or on none."""

import pytest

from gcnloom_hw.aggregate.engine import AggregateEngine
from gcnloom_hw.epilogue.epilogue import Epilogue
from gcnloom_hw.transform.engine import TransformEngine
from gcnloom_sim.bench.harness import missing, simulate
from gcnloom_spec.config import AcceleratorConfig

pytestmark = [pytest.mark.sim, pytest.mark.skipif(missing() is not None, reason=str(missing()))]

BENCHES = {
    "aggregate": AggregateEngine,
    "transform": TransformEngine,
    "epilogue": Epilogue,
}
SEED = 31


@pytest.mark.parametrize("config", ["smallest", "odd", "wide"])
@pytest.mark.parametrize("bench", BENCHES)
@pytest.mark.parametrize("stalls", ["none", "random", "bursts"])
def test_component_hands_out_what_its_definition_says(bench, config, stalls, tmp_path):
    simulate(
        BENCHES[bench],
        AcceleratorConfig.from_toml(config),
        f"tests.sim.tb_cocotb_{bench}",
        tmp_path,
        stalls=stalls,
        seed=SEED,
    )
