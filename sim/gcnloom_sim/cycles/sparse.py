# SPDX-License-Identifier: Apache-2.0
"""Timelines of the sparse engine: aggregates back to back, and a drain in the beats they leave."""

from collections import deque
from collections.abc import Iterator
from math import ceil

import numpy as np
from numpy.typing import NDArray

from gcnloom_hw.aggregate.collect import Collector
from gcnloom_hw.aggregate.drain import DrainControl
from gcnloom_sim.cycles.beats import entries, free_beats
from gcnloom_sim.cycles.epilogue import Ended, EpilogueUnit
from gcnloom_sim.cycles.timing import (
    ASK_TO_READ,
    FETCH_TO_ASK,
    PLACES,
    READ_TO_TAKEN,
    Timing,
)
from gcnloom_spec.commands import Aggregate, Drain

__all__ = ["AggregateUnit", "DrainUnit"]

KNOWN = 16
"""Cycles ahead of now in which it is known whether an aggregate will execute."""
STRIDE = 16
"""Words of a drain that go to the epilogue at once: no more than it is behind."""

Edges = NDArray[np.uint64]


class AggregateUnit:
    """Executes aggregates; knows in which beats they leave an element's sums to a drain.

    Parameters
    ----------
    timing : Timing
    """

    def __init__(self, timing: Timing) -> None:
        self._config = timing.config
        self._to_read = timing.aggregate_to_read
        self._free = 0
        self._pieces: deque[tuple[int, int, Edges]] = deque()
        self._tables: dict[int, tuple[Edges, NDArray[np.int32]]] = {}
        self.active = self.stalled = 0

    def run(self, command: Aggregate, edges: Edges | None, ready: int) -> tuple[int, int]:
        """Execute; return when the command was accepted, and when it signals.

        `edges` are those of its beats; if not known, they are taken to hold up no drain.
        """
        accepted = max(ready, self._free)
        self._free = accepted + max(command.count, 1)
        if edges is not None and command.count:
            begin = accepted + self._to_read
            self._pieces.append((begin, begin + command.count, edges))
        self.active += command.count
        return accepted, self._free + 1

    @property
    def known(self) -> int:
        """Cycle from which on no beat is known to be taken."""
        return self._free + self._to_read

    def forget(self, now: int) -> None:
        """Forget what was before `now`."""
        while self._pieces and self._pieces[0][1] <= now:
            self._pieces.popleft()

    def free(self, pe: int, now: int) -> int:
        """Return the first cycle, from `now` on, in which an element leaves its sums to a drain."""
        for start, stop, edges in self._pieces:
            if now < start:
                break
            if now < stop:
                now = start + self._table(edges).item(now - start, pe)
                if now < stop:
                    break
        return now

    def _table(self, edges: Edges) -> NDArray[np.int32]:
        """Return what :func:`free_beats` says, found once for edges that several commands use."""
        if id(edges) not in self._tables:
            self._tables[id(edges)] = edges, free_beats(edges, self._config)
        return self._tables[id(edges)][1]


class DrainUnit:
    """Executes drains word by word, as the beats of aggregates become known.

    Parameters
    ----------
    timing : Timing
    aggregates : AggregateUnit
    epilogue : EpilogueUnit
    """

    def __init__(self, timing: Timing, aggregates: AggregateUnit, epilogue: EpilogueUnit) -> None:
        self._config = timing.config
        self._aggregates, self._epilogue = aggregates, epilogue
        self._command: Drain | None = None
        self._entries: deque[tuple[int, bool]] = deque()
        self._fetched = 0
        self._asked = deque([0] * DrainControl.ahead, maxlen=DrainControl.ahead)
        self._taken = deque([0] * DrainControl.outstanding, maxlen=DrainControl.outstanding)
        self._read = [0] * timing.config.pes
        self._places = [deque([0] * PLACES, maxlen=PLACES) for _ in self._read]
        self._next = 0
        self.active = self.stalled = 0

    @property
    def free(self) -> bool:
        """Whether a command could be begun."""
        return self._command is None

    def begin(self, command: Drain, order: NDArray[np.uint64] | None, ready: int) -> float:
        """Begin a command; return when engine and epilogue have both taken it.

        `order` are its packed entries, if they are known.
        """
        accepted = max(ready, self._fetched)
        self._command, self._fetched = command, accepted
        self._entries = entries(command, self._config, order)
        self._next = 0
        self.active += command.count
        return max(accepted, self._epilogue.open(command.emission, ready))

    def events(self, now: int) -> Iterator[int]:
        """Yield when there is more to be timed."""
        if self._command is not None:
            yield max(now + 1, self._next - KNOWN)

    def step(self, now: int) -> tuple[Ended, Drain | None, float]:
        """Time what is read soon.

        Returns the stores that ended with it, the command if it did, and when it did.
        """
        ended: Ended = []
        if self._command is None or self._next - KNOWN > now:
            return ended, None, 0.0
        while self._entries and self._next - KNOWN <= now:
            ended += self._some(now)
        if self._entries:
            return ended, None, 0.0
        command, self._command = self._command, None
        return ended, command, self._epilogue.close()

    def _some(self, now: int) -> Ended:
        """Time the next few words, on their way from the order to the epilogue."""
        known = max(now + KNOWN, self._aggregates.known)
        room = self._room(0)
        rows: list[int] = []
        for _ in range(STRIDE):
            if not self._entries:
                break
            pe, ends = self._entries[0]
            fetched = max(self._fetched + 1, self._asked[0] + 1)
            there = max(self._asked[-1] + 1, fetched + FETCH_TO_ASK)
            asked = max(there, self._taken[0] + 1, self._places[pe][0] + 2)
            read = self._aggregates.free(pe, max(asked + ASK_TO_READ, self._read[pe] + 1))
            self._next = read
            if read > known:
                break
            self._entries.popleft()
            self.stalled += asked - there
            taken = max(self._taken[-1] + 1, read + READ_TO_TAKEN, room)
            self._fetched, self._read[pe] = fetched, read
            self._asked.append(asked)
            self._taken.append(taken)
            self._places[pe].append(taken)
            if ends:
                rows.append(taken + Collector.latency)
                room = self._room(len(rows))
        self._aggregates.forget(min(self._read))
        return self._epilogue.issue(len(rows), rows[0], rows[-1]) if rows else []

    def _room(self, rows: int) -> int:
        """Return when there is room for another row behind so many that are to be passed on."""
        return ceil(max(0.0, self._epilogue.held(Collector.depth - 1 - rows)))
