# SPDX-License-Identifier: Apache-2.0
"""Timeline of an engine and its epilogue: two pipelines with a short queue between them."""

from gcnloom_sim.cycles.flow import Flow
from gcnloom_sim.cycles.store import StoreUnit
from gcnloom_sim.cycles.timing import CLEARING, PREPARE, STORE_INTERVAL, Issue, Timing
from gcnloom_spec.commands import Emission, Store

__all__ = ["ComputeUnit"]

Ended = list[tuple[Store, float]]


class ComputeUnit:
    """One engine, its epilogue, and the fabric behind.

    A command goes to the engine and its emission to the epilogue, each when it is free, and
    the next command when both have been taken: the engine is ahead by what the epilogue holds.

    Parameters
    ----------
    timing : Timing
    latency, depth : int
        Cycles and beats between the engine's issue and the epilogue.
    source : int
        What stores call this engine.
    stores : StoreUnit
    """

    def __init__(
        self, timing: Timing, *, latency: int, depth: int, source: int, stores: StoreUnit
    ) -> None:
        self._timing = timing
        self._latency, self._depth = latency, depth
        self.source, self._stores = source, stores
        self._engine_free = 0.0
        self._room, self._random_free = float(CLEARING), 0.0
        self._ended = 0.0
        self._issued, self._out = Flow(), Flow()
        self.active = 0.0
        self.stalled = 0.0

    def run(self, issue: Issue, emission: Emission, ready: float) -> tuple[float, float, Ended]:
        """Execute; return when the command left its queue, when its results were handed on.

        The third result is the stores that ended with them.
        """
        accepted = max(ready, self._engine_free)
        described = max(ready, self._room)
        first, last = accepted + issue.first, accepted + issue.last
        begin = self._begin(described, emission, issue.beats)
        begin = max(begin, first + self._latency)
        end = max(begin + issue.beats - 1, last + self._latency)
        if emission.store and emission.vectors:
            end, out, ended = self._store(issue.beats, begin, end)
        else:
            ended = []
            out = end + self._timing.epilogue_latency
            self._out.add(issue.beats, begin + self._timing.epilogue_latency, out)
        self._issued.add(issue.beats, begin, end)
        self._ended = end
        if emission.stochastic or emission.dropout:
            early = self._issued.time(self._issued.count - 1 - self._timing.random_depth)
            self._random_free = max(self._random_free + issue.beats, early + 1) + 1
        held = max(last, self._issued.time(self._issued.count - 1 - self._depth) + 1)
        self._engine_free = accepted + issue.cycles + held - last
        self.active += issue.active
        self.stalled += held - last
        return max(accepted, described), out, ended

    def _begin(self, described: float, emission: Emission, beats: int) -> float:
        """Return when the epilogue can issue its first vector; say when it takes the next."""
        asked = described + 1
        if not ((emission.stochastic or emission.dropout) and emission.vectors):
            taken = max(asked, self._ended + 1)
            begin = taken + PREPARE
        else:
            asked = max(asked, self._random_free)
            self._random_free = asked
            taken = max(asked + 1, self._ended + 1)
            begin = max(taken + PREPARE, asked + 1 + self._timing.random_latency)
        self._room = taken + 1
        return begin

    def _store(self, beats: int, begin: float, end: float) -> tuple[float, float, Ended]:
        """Hand vectors to the store unit; return when the last issued and left, with the stores."""
        latency = self._timing.epilogue_latency
        first = max(begin + latency, self._out.time(self._out.count - 1) + 1)
        last = max(first + STORE_INTERVAL * (beats - 1), end + latency)
        first, last, ended = self._stores.take(self.source, beats, first, last)
        self._out.add(beats, first, last)
        held = self._out.time(self._out.count - 1 - self._timing.epilogue_depth) + 1
        return max(end, held), last, ended
