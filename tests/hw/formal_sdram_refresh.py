# SPDX-License-Identifier: Apache-2.0
"""What is proved of the SDRAM controller's refreshes."""

from amaranth import Cat, Mux, Signal
from amaranth.hdl import Assert

from gcnloom_hw.dram.upkeep import Phase

__all__ = ["assert_refreshes"]


def assert_refreshes(m, config, scheduler):
    """Each refresh that falls due is there before `refresh_delay` clocks are over."""
    clocks = config.clocks
    upkeep, held, most = scheduler.upkeep, scheduler.held, config.refresh_delay
    elapsed = Signal(range(clocks.interval))
    m.d.comb += elapsed.eq(clocks.interval - 1 - upkeep.interval)
    started, phases = upkeep.started, {}
    for each in Phase:
        phases[each] = Signal(name=each.name.lower())
        m.d.comb += phases[each].eq(upkeep.phase == each)
    closing = phases[Phase.CLOSE]
    refreshing = phases[Phase.REFRESH]
    m.d.comb += [
        Assert(~upkeep.due | (elapsed <= most)),
        # What the controller knows of it, for the induction.
        Assert(Cat(phases.values()).any()),
        Assert(upkeep.interval < clocks.interval),
        Assert(started | ((elapsed == 0) & ~upkeep.due & ~scheduler.holds)),
        Assert(started == ~(phases[Phase.LOAD] | ((closing | refreshing) & ~upkeep.due))),
        Assert(~upkeep.due | ~phases[Phase.REST]),
        Assert(~upkeep.due | ~phases[Phase.WORK] | (elapsed == 0)),
        Assert(~started | ~(closing | refreshing) | (upkeep.left == 1)),
        Assert(~started | ~closing | (upkeep.rest == 0)),
        Assert(~started | ~refreshing | (elapsed + upkeep.rest <= most)),
        Assert(~phases[Phase.REST] | (elapsed + upkeep.rest <= most + clocks.refresh)),
    ]
    # How long it takes at most to close the rows: each clock one less.
    waits = Mux(held.write, scheduler.writing.left, scheduler.reading.left)
    after = (config.bursts - 1 - scheduler.index) * config.burst
    after = after + clocks.close_after_write(config.burst)
    mine = [held.bank == number for number in range(len(scheduler.banks))]
    ways = [Mux(scheduler.holds, waits + after, 0)]
    for number, bank in enumerate(scheduler.banks):
        ways += [
            bank.closing.left,
            Mux(scheduler.holds & mine[number], bank.moving.left + after, 0),
        ]
    for way in ways:
        bound = elapsed + way + 1 + clocks.precharge <= most
        m.d.comb += Assert(~started | ~closing | bound)
    countdowns = [scheduler.gap, scheduler.reading, scheduler.writing]
    for bank in scheduler.banks:
        countdowns += [bank.opening, bank.moving, bank.closing]
    m.d.comb += [Assert(each.left < max(2, each.longest)) for each in countdowns]
    m.d.comb += [Assert(each.over == (each.left == 0)) for each in countdowns]
