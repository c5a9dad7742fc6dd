# SPDX-License-Identifier: Apache-2.0
"""Command queues, the gates behind them, and the tokens that open these."""

from collections import deque
from collections.abc import Iterator
from functools import cache
from math import ceil

from gcnloom_sim.cycles.timing import ALLOWED, GATE_READ, QUEUE
from gcnloom_spec.commands import Command
from gcnloom_spec.isa import Unit

__all__ = ["Gate", "Tokens"]

UNKNOWN = -1
"""Tokens given when the oldest command's were looked for last, if they never were."""


@cache
def _units(members: int) -> tuple[Unit, ...]:
    """List the units of a set."""
    return tuple(unit for unit in Unit if members >> unit & 1)


class Tokens:
    """When the tokens between every two units are there to be taken.

    Parameters
    ----------
    settle : int
        Cycles from a signal to its token.

    Attributes
    ----------
    given : list of int
        Tokens that were ever left for each unit.
    """

    def __init__(self, settle: int) -> None:
        self._settle = settle
        self._there: list[list[deque[float]]] = [[deque() for _ in Unit] for _ in Unit]
        self.given = [0 for _ in Unit]

    def give(self, giver: Unit, takers: int, done: float) -> None:
        """Leave a token for each unit of the set `takers`."""
        for taker in _units(takers):
            self._there[giver][taker].append(done + self._settle)
            self.given[taker] += 1

    def there(self, givers: int, taker: Unit) -> float | None:
        """Return since when the token of each of `givers` is there; None if nobody knows."""
        since = 0.0
        for giver in _units(givers):
            tokens = self._there[giver][taker]
            if not tokens:
                return None
            since = max(since, tokens[0])
        return since

    def take(self, givers: int, taker: Unit) -> None:
        """Take one token of each of `givers`."""
        for giver in _units(givers):
            self._there[giver][taker].popleft()


class Gate:
    """A unit's command queue, and behind it the commands that have their tokens.

    Parameters
    ----------
    depth : int
        Commands that the queue holds.
    unit : Unit
    tokens : Tokens

    Attributes
    ----------
    since : int
        When the command at the unit came there.
    waited : float
        Cycles in which the oldest command lacked a token.
    """

    def __init__(self, depth: int, unit: Unit, tokens: Tokens) -> None:
        self._depth, self._unit, self._tokens = depth, unit, tokens
        # A single command lies in a register from the beginning.
        self._read = QUEUE + (GATE_READ if depth > 1 else 0)
        self._queue: deque[Command] = deque()
        self._head = 0
        self._looked = UNKNOWN
        self._since: float | None = None
        # One more waits in front of the dense engine.
        before = depth > 1 and unit == Unit.TRANSFORM
        self._most = ALLOWED + before
        self._allowed: deque[Command] = deque()
        self._leaving: deque[float] = deque()
        self.since = 0
        self.waited = 0.0

    @property
    def room(self) -> bool:
        """Whether a command could be put in."""
        kept = len(self._allowed) if self._depth == 1 else 0
        return len(self._queue) + kept < self._depth

    @property
    def busy(self) -> bool:
        """Whether a command waits here, or has not been taken over by its unit."""
        return bool(self._queue or self._allowed)

    def put(self, command: Command, now: int) -> None:
        """Queue a command."""
        if not self._queue:
            self._head = now + self._read
            self._looked = UNKNOWN
        self._queue.append(command)

    @property
    def offered(self) -> Command | None:
        """Return the command that is at the unit and that it has not begun."""
        return self._allowed[0] if self._allowed and not self._leaving else None

    def leave(self, time: float) -> None:
        """Say when the unit takes over the oldest command that has not been said of."""
        self._leaving.append(time)

    def step(self, now: int) -> tuple[Command | None, bool]:
        """Let commands go on; return the one that passes the gate, and whether one left."""
        room = len(self._allowed) < self._most
        left = bool(self._leaving) and self._leaving[0] <= now
        if left:
            self._leaving.popleft()
            self._allowed.popleft()
            self.since = now + 1
        there = self._there()
        if there is None or there > now or not room:
            return None, left
        command = self._queue.popleft()
        self._looked = UNKNOWN
        self.waited += there - self._head
        self._tokens.take(command.waits, self._unit)
        self._head = now + self._read
        if not self._allowed:
            self.since = now + QUEUE
        self._allowed.append(command)
        return command, left

    def _there(self) -> float | None:
        """Return from when on the oldest command may pass, as far as that is known."""
        if not self._queue:
            return None
        if self._looked != self._tokens.given[self._unit]:
            self._looked = self._tokens.given[self._unit]
            self._since = self._tokens.there(self._queue[0].waits, self._unit)
        return None if self._since is None else max(self._since, self._head)

    def events(self, now: int) -> Iterator[int]:
        """Yield when something will happen here, as far as that is known."""
        if self._leaving:
            yield max(ceil(self._leaving[0]), now + 1)
        there = self._there()
        if there is not None and len(self._allowed) < self._most:
            yield max(ceil(there), now + 1)

    def refuse(self) -> None:
        """Raise if the oldest command waits for a token that does not come."""
        if self._queue and self._tokens.there(self._queue[0].waits, self._unit) is None:
            raise ValueError(
                f"{self._queue[0]} waits for a token that no command before it leaves; "
                "insert the tokens again"
            )
