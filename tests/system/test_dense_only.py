# SPDX-License-Identifier: Apache-2.0
"""An accelerator without sparse engine multiplies dense matrices and refuses the rest."""

import numpy as np
import pytest
from scipy.sparse import eye_array

from gcnloom.device import open as open_device
from gcnloom.errors import ConfigError, DeviceError, ProgramError
from gcnloom.graphs import datasets
from gcnloom.layers import Network
from gcnloom.lower.graph import lower_graph
from gcnloom.programs.program import Program
from gcnloom_sim.cycles import predict
from gcnloom_sim.random_programs import random_program
from gcnloom_spec.commands import Aggregate, Drain, Emission, Load, Transform
from gcnloom_spec.isa import Mode, Target
from gcnloom_spec.toolchain import YOSYS, ToolError
from tests.system.random_runs import MEMORIES, agree

pytestmark = pytest.mark.sim

COMMANDS = {
    "aggregate": Aggregate(edge_base=0, count=1, operand_base=0, slot_base=0),
    "drain": Drain(order_base=0, count=1, slot_base=0, emission=Emission(vectors=1)),
    "output": Transform(mode=Mode.OUTPUT_STATIONARY, count=1, first=1, last=0),
}


def _with_yosys():
    try:
        YOSYS.find()
    except ToolError:
        return pytest.mark.skip(reason="yosys is not installed")
    return pytest.mark.synth


@pytest.fixture(
    scope="module", params=["model", "rtl", pytest.param("netlist-ice40", marks=_with_yosys())]
)
def device(request):
    with open_device(f"{request.param}:ice", memory_megabytes=1) as opened:
        yield opened


@pytest.mark.parametrize(("rows", "inner", "columns"), [(1, 1, 1), (7, 5, 3), (70, 33, 9)])
def test_dense_product_is_exact(device, rows, inner, columns):
    rng = np.random.default_rng(rows)
    left, right = rng.integers(-127, 128, (rows, inner)), rng.integers(-127, 128, (inner, columns))
    assert np.array_equal(device.gemm(left, right), left @ right)


def test_sparse_product_is_refused(device):
    with pytest.raises(ConfigError, match=r"has no sparse engine .* pes of at least 1"):
        device.spmm(eye_array(3, format="csr"), np.ones((3, 2)))


def test_training_is_refused(device):
    graph = datasets.load("sbm:40,2", seed=0)
    network = Network(widths=(graph.features.shape[1], 4, graph.classes))
    with pytest.raises(ConfigError, match="has no sparse engine"):
        lower_graph(graph, network, device.config, device.memory)


@pytest.mark.parametrize("name", COMMANDS)
def test_a_command_that_the_device_does_not_know_is_a_fault(device, name):
    load = Load(target=Target.LEFT, base=0, count=2, address=0)
    program = Program.of([load, COMMANDS[name], load], device.config.digest)
    with pytest.raises(
        (DeviceError, ProgramError),
        match=f"unknown opcode after 1 of 3 commands|no {name}(-stationary| unit; try pes of)",
    ):
        device.run(program)
    assert np.array_equal(device.gemm(np.eye(3), np.eye(3)), np.eye(3))


@pytest.mark.parametrize(("latency", "stalls"), MEMORIES)
def test_model_and_gateware_agree_on_random_programs(latency, stalls):
    def make(sizes, seed):
        return random_program(sizes, np.random.default_rng(seed), commands=40)

    agree("ice", 100 * MEMORIES.index((latency, stalls)), 40, latency, stalls, make)


def test_cycles_of_a_compact_accelerator_are_not_predicted(device):
    load = Load(target=Target.LEFT, base=0, count=2, address=0)
    with pytest.raises(ConfigError, match="compact accelerator are not predicted"):
        predict(Program.of([load], device.config.digest), device.config)


def test_eight_multipliers_are_busy_in_four_of_five_cycles():
    """Where the left operand stays on chip, as it does for so many columns."""
    rng = np.random.default_rng(3)
    with open_device("rtl:ice", memory_megabytes=1) as device:
        left, right = rng.integers(-127, 128, (128, 64)), rng.integers(-127, 128, (64, 32))
        assert np.array_equal(device.gemm(left, right), left @ right)
        assert left.size * right.shape[1] >= 0.8 * 8 * device.counters()["cycles"]
