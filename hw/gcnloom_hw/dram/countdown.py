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
    over : Value
    longest : int
    """

    def __init__(self, name: str, longest: int) -> None:
        self.longest = longest
        self.left = Signal(range(max(2, longest)), name=name)
        self.over = self.left == 0
        self._waits: list[tuple[Any, int]] = []

    def after(self, event: Any, clocks: int) -> None:
        """Wait at least so many clocks from the `event` on."""
        self._waits.append((event, clocks - 1))

    def elaborate_into(self, m: Module) -> None:
        """Add the register; no two events that wait happen in one clock."""
        passed = Mux(self.over, 0, self.left - 1)
        m.d.sync += self.left.eq(passed)
        for event, wait in self._waits:
            if wait:
                with m.If(event & (self.left <= wait)):
                    m.d.sync += self.left.eq(wait)
