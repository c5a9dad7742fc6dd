# SPDX-License-Identifier: Apache-2.0
"""What an SDRAM wants besides reads and writes: to be started, and to be refreshed."""

from amaranth import Module, Signal
from amaranth.lib import enum, wiring
from amaranth.lib.wiring import In, Out

from gcnloom_hw.dram.config import SdramConfig

__all__ = ["Phase", "Upkeep"]


class Phase(enum.Enum):
    """What the part is used for; the first four follow each other to one refresh."""

    CLOSE = 0
    REFRESH = 1
    LOAD = 2
    REST = 3
    WORK = 4


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
    phase : Out(Phase)
        In WORK rows may be opened and closed for requests, in REFRESH and LOAD all are closed.
    started : Out(1)
    due : Out(1)
        A refresh is.
    close_all, refresh, load_mode : Out(1)
        Commands of this clock.
    rest, left, interval : Signal
        Clocks until the next of them, refreshes to come, clocks until one falls due.
    """

    def __init__(self, config: SdramConfig) -> None:
        self._clocks = clocks = config.clocks
        super().__init__(
            {
                "closable": In(1),
                "phase": Out(Phase),
                "started": Out(1),
                "due": Out(1),
                "close_all": Out(1),
                "refresh": Out(1),
                "load_mode": Out(1),
            }
        )
        longest = max(clocks.start, clocks.refresh, clocks.precharge, clocks.mode)
        self.rest = Signal(range(longest + 1), init=clocks.start)
        self.left = Signal(range(clocks.start_refreshes + 1), init=clocks.start_refreshes)
        self.interval = Signal(range(clocks.interval), init=clocks.interval - 1)

    def elaborate(self, platform):
        m = Module()
        clocks = self._clocks
        rested = Signal()
        m.d.comb += rested.eq(self.rest == 0)
        with m.If(~rested):
            m.d.sync += self.rest.eq(self.rest - 1)

        with m.Switch(self.phase):
            with m.Case(Phase.CLOSE), m.If(rested & self.closable):
                m.d.comb += self.close_all.eq(1)
                m.d.sync += [self.rest.eq(clocks.precharge - 1), self.phase.eq(Phase.REFRESH)]
            with m.Case(Phase.REFRESH), m.If(rested):
                m.d.comb += self.refresh.eq(1)
                m.d.sync += [self.rest.eq(clocks.refresh - 1), self.left.eq(self.left - 1)]
                with m.If(self.left == 1):
                    m.d.sync += self.phase.eq(Phase.LOAD)
                    with m.If(self.started):
                        m.d.sync += self.phase.eq(Phase.REST)
            with m.Case(Phase.LOAD), m.If(rested):
                m.d.comb += self.load_mode.eq(1)
                m.d.sync += [self.rest.eq(clocks.mode - 1), self.started.eq(1)]
                m.d.sync += self.phase.eq(Phase.REST)
            with m.Case(Phase.REST), m.If(rested):
                m.d.sync += self.phase.eq(Phase.WORK)
            with m.Case(Phase.WORK), m.If(self.due):
                m.d.sync += [self.left.eq(1), self.phase.eq(Phase.CLOSE)]

        with m.If(self.refresh):
            m.d.sync += self.due.eq(0)
        with m.If(self.interval == 0):
            m.d.sync += [self.interval.eq(clocks.interval - 1), self.due.eq(1)]
        with m.Elif(self.started):
            m.d.sync += self.interval.eq(self.interval - 1)
        return m
