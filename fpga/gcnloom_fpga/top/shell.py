# SPDX-License-Identifier: Apache-2.0
"""The shell that a board gets: accelerator, link and the board's device memory."""

from gcnloom_fpga.board import Board
from gcnloom_fpga.clocks.plan import ClockPlan, plan_clock
from gcnloom_fpga.top.board import BoardTop
from gcnloom_fpga.top.pads import DELAY
from gcnloom_fpga.top.sdram import sdram_phase
from gcnloom_hw.dram.config import SdramConfig
from gcnloom_hw.memory.kinds import BlockRam, MemoryKind, Sdram, Spram
from gcnloom_hw.primitives.ice40 import SPRAM_WORDS, SPRAMS
from gcnloom_hw.shell import SerialShell
from gcnloom_spec.config import AcceleratorConfig

__all__ = ["board_clock", "board_memory", "board_top"]

SPRAM_BYTES = 2 * SPRAMS * SPRAM_WORDS
LINK_BYTES = {family: {"buffer_bytes": 4096, "payload_bytes": 960} for family in ("ecp5", "gowin")}
"""Where a block RAM holds 2 KB, the line is filled better than by the shell's own sizes; 960 is a
multiple of every memory word up to 64 bytes."""


def board_clock(board: Board, hertz: float) -> ClockPlan:
    """Plan the accelerator's clock, and that of the board's SDRAM."""
    phase = sdram_phase(hertz) if board.sdram else None
    return plan_clock(board.part, board.oscillator.hertz, hertz, phase=phase)


def board_memory(board: Board, config: AcceleratorConfig, hertz: float) -> MemoryKind:
    """Device memory of the kind that the board has."""
    if board.spram:
        return Spram(words=SPRAM_BYTES // config.memory_bytes)
    if not board.sdram:
        return BlockRam(words=board.memory_bytes // config.memory_bytes)
    part = board.sdram.part
    sdram = SdramConfig(
        part=part, clocks=part.clocks(hertz), memory_bytes=config.memory_bytes, input_delay=DELAY
    )
    masked = "dqm" in board.sdram.pins
    return Sdram(
        words=part.capacity // config.memory_bytes, config=sdram, masked=masked,
        near_words=board.memory_bytes // config.memory_bytes,
    )  # fmt: skip


def board_top(board: Board, config: AcceleratorConfig, hertz: float) -> BoardTop:
    """Everything of a board's FPGA, at the clock nearest to what is wanted."""
    plan = board_clock(board, hertz)
    memory = board_memory(board, config, plan.hertz)
    sizes = LINK_BYTES.get(board.part.family, {})
    shell = SerialShell(config, clock_hz=round(plan.hertz), memory=memory, **sizes)
    return BoardTop(board, plan, shell)
