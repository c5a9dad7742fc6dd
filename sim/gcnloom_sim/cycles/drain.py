# SPDX-License-Identifier: Apache-2.0
"""Timeline of drains, word by word, in the beats that aggregates leave them."""

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from math import ceil

import numpy as np
from numpy.typing import NDArray

from gcnloom_hw.aggregate.collect import Collector
from gcnloom_hw.aggregate.drain import DrainControl
from gcnloom_sim.cycles.beats import entries
from gcnloom_sim.cycles.epilogue import Ended, EpilogueUnit
from gcnloom_sim.cycles.sparse import AggregateUnit
from gcnloom_sim.cycles.timing import (
    ASK_TO_READ,
    FETCH_TO_ASK,
    PLACES,
    READ_TO_TAKEN,
    Timing,
)
from gcnloom_spec.commands import Drain

__all__ = ["DrainUnit"]

LATER = 8
"""Cycles after a word was read in which it is timed, with those that follow: nothing depends on
it for longer than that."""
COMMANDS = 2
"""Drains that have been taken: one whose words are taken, one that follows it."""

Done = list[tuple[Drain, float]]
"""Commands that came to their end, and when."""


@dataclass(frozen=True)
class _Word:
    """A word that was asked for, and whether a row or its command ends with it."""

    pe: int
    asked: int
    last: bool
    end: bool


class DrainUnit:
    """Executes drains in two steps: asks for words as there is room, takes them as they are read.

    Parameters
    ----------
    timing : Timing
    aggregates : AggregateUnit
    epilogue : EpilogueUnit
    """

    def __init__(self, timing: Timing, aggregates: AggregateUnit, epilogue: EpilogueUnit) -> None:
        self._config = timing.config
        # Cycles ahead of now in which it is known whether an aggregate reads sums.
        self._known = timing.aggregate_to_read
        self._aggregates, self._epilogue = aggregates, epilogue
        self._commands: deque[Drain] = deque()
        # The entries of a command that waits for the one before it to be read.
        self._following: deque[tuple[int, bool]] = deque()
        self._entries: deque[tuple[int, bool]] = deque()
        self._words: deque[_Word] = deque()
        self._since = self._fetched = self._next = 0
        self._asked = deque([0] * DrainControl.ahead, maxlen=DrainControl.ahead)
        self._taken = deque([0] * DrainControl.outstanding, maxlen=DrainControl.outstanding)
        pes = timing.config.pes
        self._read, self._waiting = [0] * pes, [0] * pes
        self._places = [deque([0] * PLACES, maxlen=PLACES) for _ in range(pes)]
        self.active = self.stalled = 0

    @property
    def free(self) -> bool:
        """Whether a command could be begun."""
        return not self._following and len(self._commands) < COMMANDS

    @property
    def idle(self) -> bool:
        """Whether all commands have come to their end."""
        return not self._commands

    def begin(self, command: Drain, order: NDArray[np.uint64] | None, ready: int) -> float:
        """Take a command; return when engine and epilogue have both done so.

        `order` are its packed entries, if they are known.
        """
        self._commands.append(command)
        self._following, self._since = entries(command, self._config, order), ready
        self._follow()
        self.active += command.count
        self._next = min(self._next, max(ready, self._fetched))
        return max(ready, self._epilogue.open(command.emission, ready))

    def _follow(self) -> None:
        """Go on to the next command's entries, once there are no others."""
        if not self._entries and self._following:
            self._entries, self._following = self._following, deque()
            self._fetched = max(self._since, self._fetched)

    def events(self, now: int) -> Iterator[int]:
        """Yield when there is more to be timed."""
        if self._commands:
            yield max(now + 1, self._next + LATER)

    def step(self, now: int) -> tuple[Ended, Done]:
        """Time what was read; return the stores that ended with it, and the commands."""
        ended: Ended = []
        done: Done = []
        if not self._commands or self._next + LATER > now:
            return ended, done
        moved = True
        while moved:
            moved = self._ask()
            moved |= self._take(max(now + self._known, self._aggregates.known - 1), ended, done)
        return ended, done

    def _ask(self) -> bool:
        """Ask for words as long as it is known when there is room; return whether for any."""
        before = len(self._words)
        while self._entries and len(self._words) < DrainControl.outstanding:
            pe, last = self._entries[0]
            if self._waiting[pe] == PLACES:
                break
            self._entries.popleft()
            self._fetched = max(self._fetched + 1, self._asked[0] + 1)
            there = max(self._asked[-1] + 1, self._fetched + FETCH_TO_ASK)
            room = self._taken[len(self._words)] + 1
            asked = max(there, room, self._places[pe][self._waiting[pe]] + 2)
            self.stalled += asked - there
            self._asked.append(asked)
            self._waiting[pe] += 1
            self._words.append(_Word(pe, asked, last, not self._entries))
            self._follow()
        return len(self._words) > before

    def _take(self, known: int, ended: Ended, done: Done) -> bool:
        """Take words that are read in cycles that are `known`, up to where their rows must go on.

        Returns whether any was taken; adds to the stores and the commands that ended.
        """
        rows: list[int] = []
        moved = end = False
        while self._words and not end and len(rows) < Collector.depth:
            word = self._words[0]
            least = max(word.asked + ASK_TO_READ, self._read[word.pe] + 1)
            self._aggregates.forget(word.asked)
            self._next = self._aggregates.free(word.pe, least)
            if self._next > known or not self._epilogue.ready(len(rows) + 1):
                break
            moved = True
            self._words.popleft()
            room = ceil(max(0.0, self._epilogue.held(Collector.depth - 1 - len(rows))))
            taken = max(self._taken[-1] + 1, self._next + READ_TO_TAKEN, room)
            self._read[word.pe] = self._next
            self._taken.append(taken)
            self._places[word.pe].append(taken)
            self._waiting[word.pe] -= 1
            if word.last:
                rows.append(taken + Collector.latency)
            end = word.end
        if rows:
            ended += self._epilogue.issue(len(rows), rows[0], rows[-1])
        if end:
            done.append((self._commands.popleft(), self._epilogue.close()))
        return moved
