# SPDX-License-Identifier: Apache-2.0
"""Countdown: how many clocks until a command is allowed."""

from typing import Any

from amaranth import Module, Mux, Signal

__all__ = ["Countdown"]


class Countdown:
    """Counts to zero, from the longest of the waits that commands ask for.

    Parameters
    ----------
    name : str
        Of the register.
    longest : int
        Most clocks that a command asks for.

    Attributes
    ----------
    left : Signal
        Clocks that the command has still to wait; 0: it may be issued in this one.
    over : Signal
        Whether `left` is 0: a flip-flop, for much depends on it.
    longest : int
    """

    def __init__(self, name: str, longest: int) -> None:
        self.longest = longest
        self.left = Signal(range(max(2, longest)), name=name)
        self.over = Signal(name=f"{name}_over", init=1)
        self._waits: list[tuple[Any, int]] = []

    def after(self, event: Any, clocks: int) -> None:
        """Wait at least so many clocks from the `event` on."""
        self._waits.append((event, clocks - 1))

    def elaborate_into(self, m: Module) -> None:
        """Add the registers; no two events that wait happen in one clock."""
        left = Signal.like(self.left, name=f"{self.left.name}_next")
        m.d.comb += left.eq(Mux(self.over, 0, self.left - 1))
        for event, wait in self._waits:
            if wait:
                with m.If(event & (self.left <= wait)):
                    m.d.comb += left.eq(wait)
        m.d.sync += [self.left.eq(left), self.over.eq(left == 0)]
