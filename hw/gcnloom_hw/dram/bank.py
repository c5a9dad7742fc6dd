# SPDX-License-Identifier: Apache-2.0
"""One bank of an SDRAM: its open row, and what its times allow."""

from amaranth import Module
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from gcnloom_hw.dram.config import SdramConfig
from gcnloom_hw.dram.countdown import Countdown

__all__ = ["Bank"]


class Bank(wiring.Component):
    """Which row of a bank is open, and whether it may be opened, moved from or to, and closed.

    Commands are of this clock; what they change shows in the next.

    Parameters
    ----------
    config : SdramConfig

    Attributes
    ----------
    activate, close, read, write : In(1)
        Commands to this bank, one at most.
    next_row : In
        The row that `activate` opens.
    open : Out(1)
    row : Out
    may_activate, may_move, may_close : Out(1)
        As far as this bank's times are concerned.
    opening, moving, closing : Countdown
        Clocks until each of them.
    """

    def __init__(self, config: SdramConfig) -> None:
        clocks, burst = config.clocks, config.burst
        close_after_write = clocks.close_after_write(burst)
        super().__init__(
            {
                "activate": In(1),
                "close": In(1),
                "read": In(1),
                "write": In(1),
                "next_row": In(config.part.row_bits),
                "open": Out(1),
                "row": Out(config.part.row_bits),
                "may_activate": Out(1),
                "may_move": Out(1),
                "may_close": Out(1),
            }
        )
        self.opening = Countdown("opening", clocks.precharge)
        self.moving = Countdown("moving", clocks.activate)
        self.closing = Countdown("closing", max(clocks.active, burst, close_after_write))
        self.opening.after(self.close, clocks.precharge)
        self.moving.after(self.activate, clocks.activate)
        self.closing.after(self.activate, clocks.active)
        # A precharge cuts a burst short, and its data as late as they come.
        self.closing.after(self.read, burst)
        self.closing.after(self.write, close_after_write)

    def elaborate(self, platform):
        m = Module()
        for countdown, allowed in (
            (self.opening, self.may_activate),
            (self.moving, self.may_move),
            (self.closing, self.may_close),
        ):
            countdown.elaborate_into(m)
            m.d.comb += allowed.eq(countdown.over)
        with m.If(self.activate):
            m.d.sync += [self.open.eq(1), self.row.eq(self.next_row)]
        with m.If(self.close):
            m.d.sync += self.open.eq(0)
        return m
