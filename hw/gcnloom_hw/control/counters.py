# SPDX-License-Identifier: Apache-2.0
"""Performance counters: their low parts in shift registers, their high parts in one memory."""

from amaranth import Array, Cat, Module, Mux, Signal
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from gcnloom_hw.arithmetic.delay import delay_line
from gcnloom_hw.memory.scratchpad import Scratchpad

__all__ = ["Counters"]

STATE_BITS = 7
PERIOD = (1 << STATE_BITS) - 1
"""States that a shift register goes through: all but that of ones only."""
PAUSE = 4
"""The round pauses in one cycle of so many; as long as from a visit's read to its write."""
GROUP_BITS = 3
"""Low bits of a counter's number, by which its state is chosen in its group."""
COUNTER_BITS = 32
TOTAL = data.StructLayout({"wraps": 29, "position": STATE_BITS})
"""A counter is at ``PERIOD * wraps + position``."""
VISIT = data.StructLayout({"kind": STATE_BITS, "writes": 1, "shown": 1, "fresh": 1})
"""A visit to a counter; `fresh`: whatever the memory says, it has not come round since `clear`."""


def positions() -> list[int]:
    """Count the steps from zero to each state of a shift register."""
    steps, state = [0] * (PERIOD + 1), 0
    for step in range(PERIOD):
        steps[state] = step
        fed = 1 ^ (state >> (STATE_BITS - 1)) ^ (state >> (STATE_BITS - 2)) & 1
        state = (state << 1 | fed) & PERIOD
    return steps


class Counters(wiring.Component):
    """Count events of many kinds, and show one of the counts.

    Each kind has a shift register with feedback, which is a counter of one look-up table; how
    often it has come round is in a memory. A round visits one counter after the other, often
    enough that none comes round twice between two visits. It pauses in every fourth cycle; in
    every second pause the counter at `address` is visited, so that what is shown is exact. A visit
    writes four cycles after it reads: what a pause writes is never read just then, as there is
    another pause without a visit, nor can a pause read what the round writes.

    Parameters
    ----------
    kinds : int
        8 to 91: a round is longer than a visit, and shorter than a shift register's.

    Attributes
    ----------
    events : In(kinds)
        Kinds that happen in this cycle: counted if `running` in the next one.
    running : In(1)
    clear : In(1)
        All counts are zero, and the events of this cycle and the one before do not count.
    address : In(7)
        The kind to show. Other numbers do no harm.
    count : Out(32)
        What had been counted of it at most :attr:`latency` cycles ago, if `address` has been the
        same for so long; modulo ``2 ** 32`` up to ``127 * 2 ** 29``.
    """

    latency = 3 * PAUSE + 1

    def __init__(self, kinds: int) -> None:
        # The base of a visit may be that of the one before, which has just begun.
        longest = -(-kinds * PAUSE // (PAUSE - 1)) + PAUSE
        if kinds < 2 * PAUSE or longest >= PERIOD:
            raise ValueError(f"kinds={kinds} is too few or too many for a round; use 8 to 91")
        self._kinds = kinds
        super().__init__(
            {
                "events": In(kinds),
                "running": In(1),
                "clear": In(1),
                "address": In(STATE_BITS),
                "count": Out(COUNTER_BITS),
            }
        )

    def elaborate(self, platform):
        m = Module()
        visits = delay_line(m, self._round(m), PAUSE, name="visit", reset_less=False)
        m.submodules.totals = totals = Scratchpad(width=TOTAL.size, depth=1 << STATE_BITS)
        m.d.comb += totals.read_address.eq(visits[0].kind)

        # Read, and choose in groups; choose a group; look the state up; add; write.
        state = self._choose(m, visits[0].kind)
        stored = Signal(TOTAL, reset_less=True)
        position = Signal(STATE_BITS, reset_less=True)
        total = Signal(TOTAL, reset_less=True)
        before = delay_line(m, stored, 1, name="stored")[-1]
        m.d.sync += [
            stored.eq(Mux(visits[1].fresh, 0, totals.read_data)),
            position.eq(Array(positions())[state]),
            total.position.eq(position),
            total.wraps.eq(before.wraps + (position < before.position)),
        ]
        m.d.comb += [
            totals.write_enable.eq(visits[PAUSE].writes),
            totals.write_address.eq(visits[PAUSE].kind),
            totals.write_data.eq(total),
        ]
        with m.If(visits[PAUSE].shown):
            # 127 times the wraps, from 128 times.
            m.d.sync += self.count.eq(Cat(total.position, total.wraps) - total.wraps)
        return m

    def _round(self, m):
        """Say whom to visit; all that the choice among states starts from is registers."""
        visit = Signal(VISIT)
        phase = Signal(range(2 * PAUSE))
        turn = Signal(STATE_BITS)
        pause = phase % PAUSE == 0
        shown = phase == 0
        first = Signal(init=1)
        fresh = first | self.clear
        m.d.sync += phase.eq(phase + 1)
        with m.If(self.clear):
            m.d.sync += [turn.eq(0), first.eq(1)]
        with m.Elif(~pause):
            m.d.sync += turn.eq(turn + 1)
            with m.If(turn == self._kinds - 1):
                m.d.sync += [turn.eq(0), first.eq(0)]
        m.d.sync += visit.eq(Cat(Mux(pause, self.address, turn), ~pause | shown, shown, fresh))
        return visit

    def _choose(self, m, kind):
        """State of the visited counter, two cycles later."""
        # From a flip-flop, as late as what counts: what `running` comes from goes all over the die.
        self._runs = Signal()
        m.d.sync += self._runs.eq(self.running)
        states = [self._shift_register(m, kind) for kind in range(self._kinds)]
        state = Signal(STATE_BITS, reset_less=True)
        group = delay_line(m, kind[GROUP_BITS:], 1, name="group")[-1]
        for low in range(0, self._kinds, 1 << GROUP_BITS):
            chosen = Signal(STATE_BITS, name=f"chosen{low}", reset_less=True)
            members = Array(states[low : low + (1 << GROUP_BITS)])
            m.d.sync += chosen.eq(members[kind[:GROUP_BITS]])
            with m.If(group == low >> GROUP_BITS):
                m.d.sync += state.eq(chosen)
        return state

    def _shift_register(self, m, kind):
        """Count one kind, after two registers on the way that need no look-up table."""
        # What `clear` clears needs no reset, which would be together with it in one far net.
        happens = Signal(name=f"happens{kind}", reset_less=True)
        counted = Signal(name=f"counted{kind}", reset_less=True)
        state = Signal(STATE_BITS, name=f"state{kind}", reset_less=True)
        m.d.sync += [happens.eq(self.events[kind]), counted.eq(happens)]
        with m.If(counted & self._runs):
            m.d.sync += state.eq(Cat(~(state[-1] ^ state[-2]), state))
        with m.If(self.clear):
            m.d.sync += [happens.eq(0), counted.eq(0), state.eq(0)]
        return state
