# SPDX-License-Identifier: Apache-2.0
"""Whether a run goes on, which step it has come to, and when everything is quiet."""

from amaranth import Module, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

__all__ = ["QUIET_CYCLES", "Running"]

QUIET_CYCLES = 8
"""A program has ended when nothing has moved for so long."""


class Running(wiring.Component):
    """State of a run.

    Attributes
    ----------
    start, reset : In(1)
    idle : In(1)
        Nothing moves but, perhaps, the sequencer.
    waits, ended : In(1)
        The sequencer waits for everything else to be quiet; it has dealt its last command.
    advance : In(1)
    step : In(32)
        Where a run starts.
    hazard_now : In(1)
    running : Out(1)
    quiet : Out(1)
        For a cycle: everything has been idle for :data:`QUIET_CYCLES`.
    progress : Out(32)
    hazard : Out(1)
        There was one since the start.
    """

    def __init__(self) -> None:
        super().__init__(
            {
                **dict.fromkeys(
                    ("start", "reset", "idle", "waits", "ended", "advance", "hazard_now"), In(1)
                ),
                "step": In(32),
                **dict.fromkeys(("running", "quiet", "hazard"), Out(1)),
                "progress": Out(32),
            }
        )

    def elaborate(self, platform):
        m = Module()
        with m.If(self.start):
            m.d.sync += self.progress.eq(self.step)
        with m.Elif(self.advance):
            m.d.sync += self.progress.eq(self.progress + 1)
        idle = Signal()
        m.d.sync += idle.eq(self.idle & (self.ended | self.waits))
        waited = Signal(range(QUIET_CYCLES))
        with m.If(self.start):
            m.d.sync += [self.running.eq(1), waited.eq(0), self.hazard.eq(0)]
        with m.Elif(idle):
            m.d.sync += waited.eq(waited + 1)
            with m.If(waited == QUIET_CYCLES - 1):
                m.d.comb += self.quiet.eq(1)
                with m.If(self.ended):
                    m.d.sync += self.running.eq(0)
        with m.Else():
            m.d.sync += waited.eq(0)
        with m.If(self.hazard_now):
            m.d.sync += self.hazard.eq(1)
        with m.If(self.reset):
            m.d.sync += [self.running.eq(0), waited.eq(0)]
        return m
