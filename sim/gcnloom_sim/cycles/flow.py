# SPDX-License-Identifier: Apache-2.0
"""When the items of a stream pass one place, as straight pieces, one for each command."""

from collections import deque

__all__ = ["NEVER", "Flow"]

NEVER = float("-inf")
"""Before everything."""
HISTORY = 80
"""Pieces kept: more than any queue of the accelerator holds items."""


class Flow:
    """Items that passed one place of the accelerator, numbered from zero.

    Attributes
    ----------
    count : int
        Items so far.
    """

    def __init__(self) -> None:
        self.count = 0
        self._pieces: deque[tuple[int, int, float, float]] = deque(maxlen=HISTORY)

    def add(self, items: int, first: float, last: float) -> None:
        """Let `items` more pass, evenly from `first` to `last`."""
        self._pieces.append((self.count, items, first, last))
        self.count += items

    def time(self, index: int) -> float:
        """Return when item `index` passed; :data:`NEVER` if that is long ago."""
        for start, items, first, last in reversed(self._pieces):
            if index >= start:
                return first + (last - first) * (index - start) / max(items - 1, 1)
        return NEVER
