# SPDX-License-Identifier: Apache-2.0
"""Timeline of an epilogue, and of the fabric, the store unit and the weight step behind it."""

from collections import deque

from gcnloom_sim.cycles.fabric import Fabric
from gcnloom_sim.cycles.flow import Flow
from gcnloom_sim.cycles.step import StepUnit
from gcnloom_sim.cycles.store import StoreUnit
from gcnloom_sim.cycles.timing import CLEARING, PREPARE, Timing
from gcnloom_spec.commands import Emission, Store

__all__ = ["Ended", "EpilogueUnit"]

Ended = list[tuple[Store, float]]
"""Stores that came to their end, and when."""


class EpilogueUnit:
    """Takes one emission after the other: its description, then its vectors, some at a time.

    Parameters
    ----------
    timing : Timing
    source : int
        What stores call the engine in front of it.
    stores : StoreUnit
    steps : StepUnit
    fabric : Fabric
    clearing : bool
        The statistics are cleared at first.
    """

    def __init__(
        self, timing: Timing, *, source: int, stores: StoreUnit, steps: StepUnit, fabric: Fabric,
        clearing: bool = True,
    ) -> None:  # fmt: skip
        self._timing, self._fabric = timing, fabric
        self._slices = timing.config.epilogue_slices
        self.source, self._stores, self._steps = source, stores, steps
        self._room, self._random_free = float(CLEARING) if clearing else 0.0, 0.0
        self._begin = self._ended = self._left = self._drawn = 0.0
        self._emission = Emission(vectors=0)
        self._following: deque[tuple[Emission, float]] = deque()
        self._issued, self._out = Flow(), Flow()

    def open(self, emission: Emission, ready: float) -> float:
        """Take an emission that is offered from `ready` on; return when it was taken.

        It may follow one that is not closed, but no second one.
        """
        described = max(ready, self._room)
        self._following.append((emission, described))
        if len(self._following) == 1:
            self._prepare()
        return described

    def _prepare(self) -> None:
        """Find when the first vector of the next emission can be passed on."""
        self._emission, described = self._following[0]
        asked = described + 1
        if not self._draws:
            taken = max(asked, self._ended + 1)
            self._begin = taken + PREPARE
        else:
            asked = max(asked, self._random_free)
            self._random_free = asked
            taken = max(asked + 1, self._ended + 1)
            self._drawn = asked + self._draws + self._timing.random_latency
            self._begin = max(taken + PREPARE, self._drawn)
        self._room = taken + 1

    @property
    def _draws(self) -> int:
        """Cycles in which random bytes are drawn for each slice of the emission."""
        emission = self._emission
        return emission.stochastic + emission.dropout if emission.vectors else 0

    def ready(self, beats: int) -> bool:
        """Whether it is known when so many vectors can be passed on."""
        return not self._emission.step or self._steps.masters.has(beats)

    def issue(self, beats: int, first: float, last: float) -> Ended:
        """Pass on vectors that come from `first` to `last`; return the stores that end."""
        emission, latency = self._emission, self._timing.epilogue_latency
        begin = max(self._begin, first)
        # A vector is issued slice by slice, and leaves with its last.
        slices, rest = self._slices, self._slices - 1
        end = max(begin + slices * beats - 1, last + rest)
        if self._draws > 1:
            begin = max(begin, self._drawn)
            self._drawn += self._draws * slices * beats
            end = max(end, self._drawn - self._draws)
        out = max(begin + rest + latency, self._out.time(self._out.count - 1) + 1)
        self._left = max(out + slices * (beats - 1), end + latency)
        ended: Ended = []
        if emission.vectors:
            self._left = self._fabric.carry(emission.destination, beats, out, self._left)
            if emission.store:
                out, self._left, ended = self._stores.take(self.source, beats, out, self._left)
            if emission.step:
                out, self._left = self._steps.take(self.source, beats, out, self._left)
        self._out.add(beats, out, self._left)
        end = max(
            end, self._out.time(self._out.count - 1 - self._timing.epilogue_depth // slices) + 1
        )
        self._issued.add(beats, begin, end)
        if self._draws:
            self._random_free += self._draws * slices * beats
        self._begin = end + 1
        return ended

    def close(self) -> float:
        """End the emission; return when its last vector was handed on."""
        self._ended = self._begin - 1
        if self._draws:
            early = self._issued.time(
                self._issued.count - 1 - self._timing.random_depth // self._slices
            )
            self._random_free = max(self._random_free, early + 1) + 1
        self._following.popleft()
        if self._following:
            self._prepare()
        return self._left

    def held(self, depth: int) -> float:
        """Return since when no more than `depth` beats that came are left to be issued."""
        return self._issued.time(self._issued.count - 1 - depth) + 1
