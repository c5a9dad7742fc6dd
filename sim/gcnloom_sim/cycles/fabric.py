# SPDX-License-Identifier: Apache-2.0
"""On-chip memories that both loads and emissions write: one write a cycle, in turns."""

from collections import deque
from collections.abc import Iterable

from gcnloom_sim.cycles.timing import QUEUE
from gcnloom_spec.isa import Destination, Target

__all__ = ["Fabric"]

MEMORIES = {
    Destination.OPERAND: Target.OPERAND,
    Destination.LEFT: Target.LEFT,
    Destination.RIGHT: Target.RIGHT,
}
SHARE = 0.5
"""What either writer of a memory gets, if both want more."""

_Piece = tuple[float, float, int]
"""When the first and the last of some vectors come, and how many they are."""


class _Memory:
    """One memory that has two kinds of writers."""

    def __init__(self) -> None:
        self.left = 0
        self.rate = 1.0
        self.pieces: deque[_Piece] = deque()
        self._now = -1
        self._waiting = 0
        self._turn = True

    def carry(self, vectors: int, first: float, last: float) -> float:
        """Take vectors; return when the last is written, if loads go on as they are known to."""
        wanted = vectors / (last - first + 1)
        left = self.left - max(0.0, first - self._now) * self.rate
        if left > 0 and wanted + self.rate > 1:
            given = min(wanted, max(SHARE, 1 - self.rate))
            beside = min(self.rate, max(SHARE, 1 - wanted))
            last += min(left / beside, vectors / given) * (1 - given / wanted)
        self.pieces.append((first, last, vectors))
        return last

    def turn(self, now: int, *, wants: bool) -> bool:
        """Return whether a load that `wants` to write in this cycle is let."""
        if self.pieces or self._waiting:
            passed = now - self._now - 1
            came = _come(self.pieces, now + QUEUE) - _come(self.pieces, self._now + QUEUE)
            self._waiting = max(0, self._waiting - passed) if passed else self._waiting
            self._waiting += min(came, 1) if passed else came
            while self.pieces and self.pieces[0][1] <= now + QUEUE:
                self.pieces.popleft()
        self._now = now
        lets = wants and (self._turn or not self._waiting)
        self._turn = not lets
        if not lets and self._waiting:
            self._waiting -= 1
        self.left -= lets
        return lets


def _come(pieces: Iterable[_Piece], until: int) -> int:
    """Return how many vectors have come by a cycle."""
    come = 0
    for first, last, vectors in pieces:
        if until >= last:
            come += vectors
        elif until >= first:
            come += 1 + int((until - first) * (vectors - 1) / (last - first))
    return come


class Fabric:
    """Lets loads and emissions wait for each other where they write one memory."""

    def __init__(self) -> None:
        self._memories = {int(target): _Memory() for target in MEMORIES.values()}

    def expect(self, target: int, writes: int, rate: float) -> None:
        """Say that a load begins, with so many writes, of which at most `rate` come a cycle."""
        memory = self._memories.get(target)
        if memory is not None:
            memory.left += writes
            memory.rate = rate

    def carry(self, destination: int, vectors: int, first: float, last: float) -> float:
        """Carry vectors that could be written from `first` to `last`; return when the last is."""
        if not destination:
            return last
        return self._memories[MEMORIES[Destination(destination)]].carry(vectors, first, last)

    def turn(self, target: int, now: int, *, wants: bool) -> bool:
        """Return whether a load that `wants` to write in this cycle is let."""
        memory = self._memories.get(target)
        return wants if memory is None else memory.turn(now, wants=wants)
