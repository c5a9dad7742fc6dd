# SPDX-License-Identifier: Apache-2.0
"""When each edge issues: one PE's edges in the fewest beats that the hazard distance allows."""

import numpy as np
from numpy.typing import NDArray

from gcnloom_spec.isa import HAZARD_DISTANCE

__all__ = ["issue_times"]

Index = NDArray[np.int64]


def issue_times(queue: Index, slot: Index) -> Index:
    """Beat at which each edge issues, counted from the start of its queue.

    Edges of one slot must be ``HAZARD_DISTANCE`` (D) beats apart. Let a queue hold `n` edges,
    the fullest of its slots M of them, and k slots that many. Nothing is shorter than
    ``max(n, D * (M - 1) + k)`` beats, and this reaches it: M frames; the k fullest slots put
    one edge in each frame, in the same order; the others, fuller ones first, are dealt cyclically
    over the first M - 1 frames; frames with fewer than D edges are padded to D, save the last.
    Edges of a slot that lie in neighbouring frames either sit at the same place of both, D
    apart, or the slot skips a frame between them.

    Parameters
    ----------
    queue : NDArray[np.int64]
        Which queue (one PE's share of one tile) each edge is in.
    slot : NDArray[np.int64]
        Which accumulator slot each edge adds to; numbers need be distinct within a queue only.

    Returns
    -------
    NDArray[np.int64]
    """
    if not len(queue):
        return np.zeros(0, dtype=np.int64)
    _, piece, size = np.unique(
        queue * (slot.max() + 1) + slot, return_inverse=True, return_counts=True
    )
    member = _rank_within(piece, size)
    queue_of = np.empty(len(size), dtype=np.int64)
    queue_of[piece] = queue

    queues = int(queue.max()) + 1
    total = np.bincount(queue, minlength=queues)
    fullest = np.zeros(queues, dtype=np.int64)
    np.maximum.at(fullest, queue_of, size)
    tied = np.bincount(queue_of[size == fullest[queue_of]], minlength=queues)

    by_size = np.lexsort((-size, queue_of))
    before = np.empty(len(size), dtype=np.int64)
    before[by_size] = np.cumsum(size[by_size]) - size[by_size]
    rank = before[piece] + member - (np.cumsum(total) - total)[queue]
    return _frame_times(rank, total[queue], fullest[queue], tied[queue])


def _rank_within(group: Index, sizes: Index) -> Index:
    """Position of each item among the items of its group, in order of appearance."""
    order = np.argsort(group, kind="stable")
    rank = np.empty(len(group), dtype=np.int64)
    rank[order] = np.arange(len(group)) - np.repeat(np.cumsum(sizes) - sizes, sizes)
    return rank


def _frame_times(rank: Index, total: Index, frames: Index, tied: Index) -> Index:
    """Beat of the edge with `rank` in a queue of `frames` frames; all arrays are per edge."""
    rest = rank - tied * frames
    # With one frame every slot is tied, so that no edge is dealt over these.
    others = np.maximum(frames - 1, 1)
    frame = np.where(rest < 0, rank % frames, rest % others)
    place = np.where(rest < 0, rank // frames, tied + rest // others)
    short, longer = np.divmod(total - tied * frames, others)
    length = tied + short
    packed = frame * length + np.minimum(frame, longer)
    return place + np.where(length >= HAZARD_DISTANCE, packed, frame * HAZARD_DISTANCE)
