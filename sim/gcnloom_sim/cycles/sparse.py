# SPDX-License-Identifier: Apache-2.0
"""Timelines of the sparse engine: aggregates back to back, and a drain in the beats they leave."""

from collections import deque
from collections.abc import Iterator

from gcnloom_hw.aggregate.collect import Collector
from gcnloom_hw.aggregate.drain import DrainControl
from gcnloom_hw.aggregate.pe import ProcessingElement
from gcnloom_sim.cycles.epilogue import Ended, EpilogueUnit
from gcnloom_sim.cycles.flow import Flow
from gcnloom_sim.cycles.timing import (
    AGGREGATE_TO_READ,
    ASK_TO_READ,
    DRAIN_TO_ASK,
    READ_TO_TAKEN,
    Timing,
)
from gcnloom_spec.commands import Aggregate, Drain

__all__ = ["AggregateUnit", "DrainUnit"]

KNOWN = 16
"""Cycles ahead of now in which the beats of aggregates are known."""
STRIDE = 32
"""Cycles of a drain that are timed at once."""


class AggregateUnit:
    """Executes aggregates; knows how many words a drain gets beside them.

    Parameters
    ----------
    pes : int
    """

    def __init__(self, pes: int) -> None:
        self._pes = pes
        self._free = 0.0
        self._busy: deque[tuple[float, float, float]] = deque()
        self.active = 0.0
        self.stalled = 0.0

    def run(self, command: Aggregate, free: float, ready: float) -> tuple[float, float]:
        """Execute; return when the command was accepted, and when it signals.

        `free` is the share of edges that leave their element's sums to a drain.
        """
        accepted = max(ready, self._free)
        self._free = accepted + max(command.count, 1)
        rate = min(1.0, self._pes * free)
        if rate < 1:
            begin = accepted + AGGREGATE_TO_READ
            self._busy.append((begin, begin + command.count, rate))
        self.active += command.count
        return accepted, self._free + 1

    def words(self, begin: float, end: float) -> float:
        """Return how many words a drain gets in some cycles, at most one in each."""
        self._forget(begin)
        words = end - begin
        for start, stop, rate in self._busy:
            words -= (1 - rate) * max(0.0, min(end, stop) - max(begin, start))
        return words

    def after(self, begin: float, words: float) -> float:
        """Return when a drain that asks from `begin` on has so many words."""
        self._forget(begin)
        now = begin
        for start, stop, rate in self._busy:
            if now + words <= start:
                break
            if now < start:
                words, now = words - (start - now), start
            if words <= rate * (stop - now):
                return now + words / rate
            words, now = words - rate * (stop - now), stop
        return now + words

    def _forget(self, begin: float) -> None:
        while self._busy and self._busy[0][1] <= begin:
            self._busy.popleft()


class DrainUnit:
    """Executes drains a few words at a time, as the beats of aggregates become known.

    Parameters
    ----------
    timing : Timing
    aggregates : AggregateUnit
    epilogue : EpilogueUnit
    """

    def __init__(self, timing: Timing, aggregates: AggregateUnit, epilogue: EpilogueUnit) -> None:
        self._aggregates, self._epilogue = aggregates, epilogue
        self._outstanding = min(
            DrainControl.outstanding, ProcessingElement.depth * timing.config.pes
        )
        self._command: Drain | None = None
        self._done = self._vectors = self._left = 0
        self._accepted = self._engine_free = 0.0
        self._asked, self._taken = Flow(), Flow()
        self._ask = self._read = self._take = 0.0
        self.active = 0.0
        self.stalled = 0.0

    @property
    def free(self) -> bool:
        """Whether a command could be begun."""
        return self._command is None

    def begin(self, command: Drain, ready: float) -> float:
        """Begin a command; return when engine and epilogue have both taken it."""
        self._accepted = max(ready, self._engine_free)
        described = self._epilogue.open(command.emission, ready)
        self._command, self._left = command, max(command.count, 1)
        self._done = self._vectors = 0
        self._ask = max(self._ask, self._accepted + DRAIN_TO_ASK - 1)
        return max(self._accepted, described)

    def events(self, now: int) -> Iterator[int]:
        """Yield when there is more to be timed."""
        if self._command is not None:
            yield max(now + 1, int(self._ask) - KNOWN)

    def step(self, now: int) -> tuple[Ended, Drain | None, float]:
        """Time what is asked for soon.

        Returns the stores that ended with it, the command if it did, and when it did.
        """
        command = self._command
        ended: Ended = []
        if command is None:
            return ended, None, 0.0
        while self._left and self._ask - KNOWN <= now:
            ended += self._some(command)
        if self._left:
            return ended, None, 0.0
        self._command = None
        self._engine_free = max(
            self._accepted + max(command.count, 1),
            self._asked.time(self._asked.count - 1 - DrainControl.ahead) + 1,
        )
        self.active += command.count
        return ended, command, self._epilogue.close()

    def _some(self, command: Drain) -> Ended:
        """Time the next few words, on their way from the order to the epilogue."""
        there = self._ask + 1
        first = max(there, self._room(0))
        start = max(self._read, first + ASK_TO_READ - 1)
        words = int(self._aggregates.words(start, start + STRIDE))
        words = min(self._left, max(1, words))
        read, self._read = (self._aggregates.after(start, some) for some in (1, words))
        self._ask = max(first + words - 1, self._room(words - 1))
        self.stalled += self._ask - there - words + 1
        taken = max(read + READ_TO_TAKEN, self._take + 1)
        self._take = max(self._read + READ_TO_TAKEN, taken + words - 1)
        ended = self._emit(command, words, taken)
        self._asked.add(words, first, self._ask)
        self._taken.add(words, taken, self._take)
        self._left -= words
        return ended

    def _room(self, ahead: int) -> float:
        """Return when a place is free for the word that comes after `ahead` others."""
        return self._taken.time(self._taken.count + ahead - self._outstanding) + 1

    def _emit(self, command: Drain, words: int, taken: float) -> Ended:
        """Pass on the rows that end among these words, evenly; or the beat without a vector."""
        beats = max(command.emission.vectors, 1)
        count = max(command.count, 1)
        self._done += words
        some = self._done * beats // count - self._vectors
        if not some:
            return []
        self._vectors += some
        step = (self._take - taken) / max(words - 1, 1)
        begin = self._take - step * (some - 1) * (words / some)
        end, ended = self._epilogue.issue(
            some, max(begin, taken) + Collector.latency, self._take + Collector.latency
        )
        self._take = max(self._take, self._epilogue.held(Collector.depth))
        return ended
