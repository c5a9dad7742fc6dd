# SPDX-License-Identifier: Apache-2.0
"""Which pages of a large memory lie in which frames of a small one."""

from collections.abc import Sequence
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

__all__ = ["NOWHERE", "PageTable", "stretches"]

NOWHERE = -1

Numbers = NDArray[np.int64]


class PageTable:
    """What lies in the window, and where more would.

    Parameters
    ----------
    frames : int
        Pages that there is room for.

    Attributes
    ----------
    page_of : NDArray[np.int64]
        Page in each frame, or :data:`NOWHERE`.
    changed : NDArray[np.bool_]
        Of each frame, whether the device has written to its page since it was last read back.
    """

    def __init__(self, frames: int) -> None:
        self.page_of = np.full(frames, NOWHERE)
        self.changed = np.zeros(frames, dtype=np.bool_)
        self._frame_of = np.full(0, NOWHERE)

    def frames(self, pages: Numbers) -> Numbers:
        """Frame of each page, or :data:`NOWHERE`."""
        found = np.full(len(pages), NOWHERE)
        known = pages < len(self._frame_of)
        found[known] = self._frame_of[pages[known]]
        return found

    def enter(self, frames: Numbers, pages: Numbers, *, changed: bool) -> None:
        """Note that frames that were free have pages, which the host may not know as they are."""
        self.changed[frames] = changed
        self.page_of[frames] = pages
        self._find(frames, pages)

    def leave(self, frames: Numbers) -> None:
        """Note that frames are free."""
        there = self.page_of[frames]
        self._frame_of[there[there != NOWHERE]] = NOWHERE
        self.page_of[frames] = NOWHERE

    def refresh(self) -> None:
        """Find each page's frame again, should an interruption have come between the two."""
        self._frame_of[:] = NOWHERE
        frames = np.flatnonzero(self.page_of != NOWHERE)
        self._find(frames, self.page_of[frames])

    def place(
        self, spans: Sequence[range], extra: int, keep: NDArray[np.float64]
    ) -> tuple[Numbers, int]:
        """Choose frames for spans of pages, each in one piece, and for `extra` more.

        A span that is there as it should be stays. Others, the longest first, go where what is
        in the way is worth least, their own pages that lie right not counted.

        Parameters
        ----------
        spans : sequence of range
            Of pages; no two have one in common.
        extra : int
            Frames of the program.
        keep : NDArray[np.float64]
            What each frame's content is worth, from 0 to 2, in pages to be moved.

        Returns
        -------
        bases : NDArray[np.int64]
            First frame of each span.
        program : int
            First of the extra frames.
        """
        wanted = [np.arange(span.start, span.stop) for span in spans]
        wanted.append(np.full(extra, np.iinfo(np.int64).max))
        bases = np.full(len(wanted), NOWHERE)
        taken = np.zeros(len(self.page_of), dtype=np.bool_)
        where = [self.frames(pages) for pages in wanted]
        for index, frames in enumerate(where):
            if len(frames) and frames[0] != NOWHERE and (np.diff(frames) == 1).all():
                bases[index] = frames[0]
                taken[frames] = True
        missing = [index for index in range(len(wanted)) if bases[index] == NOWHERE]
        for index in sorted(missing, key=lambda each: -len(wanted[each])):
            base = _cheapest(where[index], taken, keep)
            if base is None:
                return _packed(wanted)
            bases[index] = base
            taken[base : base + len(wanted[index])] = True
        return bases[:-1], int(bases[-1])

    def _find(self, frames: Numbers, pages: Numbers) -> None:
        missing = int(pages.max(initial=-1)) + 1 - len(self._frame_of)
        if missing > 0:
            self._frame_of = np.concatenate([self._frame_of, np.full(missing, NOWHERE)])
        self._frame_of[pages] = frames


def stretches(*numbers: Numbers) -> list[slice]:
    """Cut lists where one of them does not go on by one."""
    if not len(numbers[0]):
        return []
    breaks = [np.flatnonzero(np.diff(each) != 1) + 1 for each in numbers]
    ends = [0, *np.unique(np.concatenate(breaks)).tolist(), len(numbers[0])]
    return [slice(low, high) for low, high in pairwise(ends)]


def _cheapest(own: Numbers, taken: NDArray[np.bool_], keep: NDArray[np.float64]) -> int | None:
    """First of ``len(own)`` frames that nothing is `taken` of; None if there is no such place."""
    size = len(own)
    blocked, cost = _sums(taken, size), _sums(keep, size)
    here = np.flatnonzero(own != NOWHERE)
    bases = own[here] - here
    right = (bases >= 0) & (bases < len(cost))
    saved = 1 + keep[own[here[right]]]
    cost -= np.bincount(bases[right], weights=saved, minlength=len(cost))
    cost[blocked > 0] = np.inf
    best = int(cost.argmin()) if len(cost) else 0
    return best if len(cost) and np.isfinite(cost[best]) else None


def _sums(values: NDArray[np.generic], size: int) -> NDArray[np.float64]:
    """Sum of each `size` values that follow each other."""
    total = np.concatenate([[0.0], np.cumsum(values, dtype=np.float64)])
    sums: NDArray[np.float64] = total[size:] - total[: len(total) - size]
    return sums


def _packed(wanted: Sequence[Numbers]) -> tuple[Numbers, int]:
    """Place everything anew, gap by gap behind the last: what was there is in the way."""
    ends = np.cumsum([len(pages) for pages in wanted])
    bases = ends - [len(pages) for pages in wanted]
    return bases[:-1], int(bases[-1])
