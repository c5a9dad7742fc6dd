# SPDX-License-Identifier: Apache-2.0
"""A bitstream itself, turned back into Verilog, behind a serial line and the host's driver."""

import io
import shutil
from pathlib import Path

import numpy as np
import pytest

from gcnloom.device import Device
from gcnloom.transport.serial import open_serial
from gcnloom_fpga.board import Board
from gcnloom_fpga.flow.build import Build, build
from gcnloom_fpga.flow.progress import Narrator
from gcnloom_fpga.netlists import cell_models
from gcnloom_fpga.top.shell import board_top
from gcnloom_fpga.unpack.verilog import unpacked
from gcnloom_sim.bitstream import Bitstream, open_bitstream
from gcnloom_sim.model import Model
from gcnloom_spec.toolchain import ICEBOX_VLOG, ICEPACK, ICEUNPACK, NEXTPNR_ICE40, YOSYS
from tests.fpga.test_top import _missing

BOARD = Path(__file__).parents[1] / "fpga" / "hx8k-breakout.toml"
SLOWNESS = 200
"""A simulated line is so much slower than a real one."""


@pytest.fixture(scope="module")
def chip(tmp_path_factory):
    """The board's FPGA, configured by its bitstream."""
    if _missing(YOSYS, NEXTPNR_ICE40, ICEPACK, ICEUNPACK) or shutil.which("g++") is None:
        pytest.skip("the tools for an iCE40, or g++, are not installed")
    if _missing(ICEBOX_VLOG):
        pytest.skip("icebox_vlog is not installed; try apt-get install fpga-icestorm")
    board = Board.named(str(BOARD))
    top = board_top(board, board.config, board.hertz)
    folder = tmp_path_factory.mktemp("bitstream")
    plan = Build(top=top, config=board.config, seeds=(1,), output=folder, command="none")
    report = build(plan, Narrator(io.StringIO(), quiet=True))
    product = folder / report["bitstream"]["name"]
    bitstream = Bitstream(
        verilog=unpacked(product, board.part, top.pins), models=cell_models(YOSYS.find(), "ice40")
    )
    with open_bitstream(bitstream, clock_hz=round(top.plan.hertz)) as shell:
        yield board.config, shell


def products(transport):
    rng = np.random.default_rng(5)
    with Device(transport) as device:
        for rows, inner, columns in ((1, 1, 1), (7, 5, 3), (33, 20, 9)):
            left = rng.integers(-127, 128, (rows, inner))
            right = rng.integers(-127, 128, (inner, columns))
            yield device.gemm(left, right), left @ right
        yield device.read_bytes(0, device.memory.words), None


@pytest.mark.synth
@pytest.mark.sim
def test_a_bitstream_multiplies_as_the_model_does(chip):
    config, shell = chip
    transport = open_serial(config, location=f"{shell.port}?slowness={SLOWNESS}")
    model = Model(config, Board.named(str(BOARD)).memory_bytes // config.memory_bytes)
    for (found, exact), (expected, _) in zip(products(transport), products(model), strict=True):
        assert np.array_equal(found, expected)
        assert exact is None or np.array_equal(found, exact)
