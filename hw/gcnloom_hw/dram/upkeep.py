# SPDX-License-Identifier: Apache-2.0
"""What an SDRAM wants besides reads and writes: to be started, and to be refreshed."""

from amaranth import Module, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from gcnloom_hw.dram.config import SdramConfig

__all__ = ["Upkeep"]


class Upkeep(wiring.Component):
    """Start the part as JEDEC asks for, then interrupt the work for each refresh.

    A refresh falls due every `interval` clocks, however long the last one had to wait, so that
    the rows get as many as they need. It begins as soon as the word that is being moved is done.

    Parameters
    ----------
    config : SdramConfig

    Attributes
    ----------
    closable : In(1)
        No word is being moved, and every open row may be closed.
    working : Out(1)
        Rows may be opened and closed for requests.
    started : Out(1)
    due : Out(1)
        A refresh is.
    closed : Out(1)
        A refresh or a mode follows: all rows are closed.
    close_all, refresh, load_mode : Out(1)
        Commands of this clock.
    rest : Signal
        Clocks until the next of them.
    """

    def __init__(self, config: SdramConfig) -> None:
        self._clocks = config.clocks
        super().__init__(
            {
                "closable": In(1),
                "working": Out(1),
                "started": Out(1),
                "due": Out(1),
                "closed": Out(1),
                "close_all": Out(1),
                "refresh": Out(1),
                "load_mode": Out(1),
            }
        )
        clocks = config.clocks
        longest = max(clocks.start, clocks.refresh, clocks.precharge, clocks.mode)
        self.rest = Signal(range(longest + 1), init=clocks.start)

    def elaborate(self, platform):
        m = Module()
        clocks = self._clocks
        rest = self.rest
        left = Signal(range(clocks.start_refreshes + 1), init=clocks.start_refreshes)
        rested = Signal()
        m.d.comb += rested.eq(rest == 0)
        with m.If(~rested):
            m.d.sync += rest.eq(rest - 1)

        with m.FSM(name="upkeep"):
            with m.State("Close"):
                with m.If(rested & self.closable):
                    m.d.comb += self.close_all.eq(1)
                    m.d.sync += rest.eq(clocks.precharge - 1)
                    m.next = "Refresh"
            with m.State("Refresh"):
                m.d.comb += self.closed.eq(1)
                with m.If(rested):
                    m.d.comb += self.refresh.eq(1)
                    m.d.sync += [rest.eq(clocks.refresh - 1), left.eq(left - 1)]
                    with m.If(left == 1):
                        m.next = "Load the mode"
                        with m.If(self.started):
                            m.next = "Rest"
            with m.State("Load the mode"):
                m.d.comb += self.closed.eq(1)
                with m.If(rested):
                    m.d.comb += self.load_mode.eq(1)
                    m.d.sync += [rest.eq(clocks.mode - 1), self.started.eq(1)]
                    m.next = "Rest"
            with m.State("Rest"), m.If(rested):
                m.next = "Work"
            with m.State("Work"):
                m.d.comb += self.working.eq(1)
                with m.If(self.due):
                    m.d.sync += left.eq(1)
                    m.next = "Close"

        interval = Signal(range(clocks.interval), init=clocks.interval - 1)
        with m.If(self.refresh):
            m.d.sync += self.due.eq(0)
        with m.If(interval == 0):
            m.d.sync += [interval.eq(clocks.interval - 1), self.due.eq(1)]
        with m.Else():
            m.d.sync += interval.eq(interval - 1)
        return m
