# SPDX-License-Identifier: Apache-2.0
"""Shells that are built in seconds, with the ports that a board's top connects."""

from amaranth import Cat, Module, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from gcnloom_fpga.board import Board
from gcnloom_fpga.top.board import BoardTop
from gcnloom_fpga.top.shell import board_clock, board_memory
from gcnloom_hw.dram.pins import SdramPins


class Tiny(wiring.Component):
    """Sends back what it receives; its SDRAM lines count, or rest if `idle`."""

    def __init__(self, sdram=None, *, idle=False):
        self._lines = dict(SdramPins(sdram).members) if sdram else {}
        self._idle = idle
        ports = {f"sdram_{name}": member for name, member in self._lines.items()}
        super().__init__({"rx": In(1), "tx": Out(1), "running": Out(1), **ports})

    def elaborate(self, platform):
        m = Module()
        received, count = Signal(2), Signal(20)
        m.d.sync += [received.eq(Cat(self.rx, received)), count.eq(count + 1)]
        m.d.comb += [self.tx.eq(received[1]), self.running.eq(count[-1])]
        if self._idle:
            return m
        for name, member in self._lines.items():
            if member.flow == Out:
                line = getattr(self, f"sdram_{name}")
                value = Signal.like(line)
                m.d.sync += value.eq(Cat(self.sdram_dq_i, value) ^ count)
                m.d.comb += line.eq(value)
        return m


def tiny_top(name, *, hertz=None, idle=False):
    """The top of a board around a tiny shell."""
    board = Board.named(name)
    plan = board_clock(board, hertz or board.hertz)
    memory = board_memory(board, board.config, plan.hertz)
    return BoardTop(board, plan, Tiny(getattr(memory, "config", None), idle=idle))
