# SPDX-License-Identifier: Apache-2.0
"""Timeline of aggregates, back to back, and the beats that they leave to drains."""

from collections import deque

import numpy as np
from numpy.typing import NDArray

from gcnloom_sim.cycles.beats import free_beats
from gcnloom_sim.cycles.timing import Timing
from gcnloom_spec.commands import Aggregate

__all__ = ["AggregateUnit"]

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
