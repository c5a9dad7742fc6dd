# SPDX-License-Identifier: Apache-2.0
"""The bench's agents see what is wrong, and say what and where."""

from itertools import islice

import pytest

pytest.importorskip("cocotb")

from gcnloom_sim.bench.build import BenchError
from gcnloom_sim.bench.harness import missing, simulate
from gcnloom_sim.bench.stalls import bursts, named_stalls, random_stalls
from gcnloom_spec.config import AcceleratorConfig
from tests.sim.tb_cocotb_agents import Register

MODULE = "tests.sim.tb_cocotb_agents"
SMALLEST = AcceleratorConfig.from_toml("smallest")
needs_tools = pytest.mark.skipif(missing() is not None, reason=str(missing()))


@pytest.mark.sim
@needs_tools
@pytest.mark.parametrize("stalls", ["none", "random", "bursts"])
def test_a_faultless_device_passes(stalls, tmp_path):
    simulate(Register, SMALLEST, MODULE, tmp_path, seed=1, stalls=stalls, fault="none")


@pytest.mark.sim
@needs_tools
@pytest.mark.parametrize(
    ("fault", "words"),
    [
        ("impatient", "o: offered .*, before it was taken"),
        ("wrong", "o: packet 38 of 39 is 39, not 0"),
        ("missing", "o: 39 of 40 packets after 20 us"),
        ("surplus", "o: 39 after all 38 packets"),
    ],
)
def test_a_fault_is_told_with_the_settings_that_show_it(fault, words, tmp_path):
    with pytest.raises(BenchError, match=words) as raised:
        simulate(Register, SMALLEST, MODULE, tmp_path, seed=2, stalls="random", fault=fault)
    assert "'seed': 2, 'stalls': 'random'" in str(raised.value)


def test_stalls_repeat_with_their_seed_and_only_with_it():
    for make in (random_stalls, bursts):
        one, same, other = (list(islice(make(seed), 2000)) for seed in ("5 sums", "5 sums", "6"))
        assert one == same != other
        assert 0.3 < sum(one) / len(one) < 0.6
    assert not any(islice(named_stalls("none", 0), 100))
    with pytest.raises(ValueError, match="unknown stalls 'often'"):
        named_stalls("often", 0)
