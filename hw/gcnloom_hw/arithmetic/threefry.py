# SPDX-License-Identifier: Apache-2.0
"""Threefry-2x32 with 13 rounds, one block a cycle; bit-exact with ``gcnloom_spec.random``."""

from amaranth import Module, Signal
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from gcnloom_spec.random import PARITY, ROTATIONS, ROUNDS

__all__ = ["PAIR", "Threefry"]

PAIR = data.ArrayLayout(32, 2)
"""Two words: a key, a counter or a block."""
ROUNDS_PER_KEY = 4


class Threefry(wiring.Component):
    """Encrypt one counter a cycle; the block leaves :attr:`latency` cycles later.

    A stage is one round or one addition of the key. There is no valid bit: the caller counts.

    Attributes
    ----------
    key : In(PAIR)
        Constant from two cycles before the first counter.
    counter : In(PAIR)
    block : Out(PAIR)
    """

    latency = 1 + ROUNDS + (ROUNDS - 1) // ROUNDS_PER_KEY

    key: data.View
    counter: data.View
    block: data.View

    def __init__(self) -> None:
        super().__init__({"key": In(PAIR), "counter": In(PAIR), "block": Out(PAIR)})

    def elaborate(self, platform):
        m = Module()
        schedule = self._schedule(m)
        low, high = schedule[0]
        state = self._stage(m, "keyed0", self.counter[0] + low, self.counter[1] + high)
        for index in range(ROUNDS):
            rotation = ROTATIONS[index % len(ROTATIONS)]
            mixed = Signal(32, name=f"mixed{index}")
            m.d.comb += mixed.eq(state[0] + state[1])
            state = self._stage(m, f"round{index}", mixed, state[1].rotate_left(rotation) ^ mixed)
            group, position = divmod(index + 1, ROUNDS_PER_KEY)
            if position == 0:
                low, high = schedule[group]
                state = self._stage(m, f"keyed{group}", state[0] + low, state[1] + high)
        m.d.comb += self.block.eq(state)
        return m

    def _schedule(self, m):
        """Words added before round ``4 * group``; registered, for they never change."""
        parity = Signal(32)
        m.d.comb += parity.eq(self.key[0] ^ self.key[1] ^ PARITY)
        keys = (self.key[0], self.key[1], parity)
        schedule = []
        for group in range((ROUNDS - 1) // ROUNDS_PER_KEY + 1):
            words = Signal(PAIR, name=f"key{group}", reset_less=True)
            m.d.sync += [
                words[0].eq(keys[group % 3]),
                words[1].eq(keys[(group + 1) % 3] + group),
            ]
            schedule.append(words)
        return schedule

    @staticmethod
    def _stage(m, name, low, high):
        """Register both words."""
        state = Signal(PAIR, name=name, reset_less=True)
        m.d.sync += [state[0].eq(low), state[1].eq(high)]
        return state
