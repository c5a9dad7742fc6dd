# SPDX-License-Identifier: Apache-2.0
"""When each edge issues: one PE's edges in the fewest beats that the hazard distance allows."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from gcnloom.scheduling.edges import rank_within
from gcnloom_spec.isa import HAZARD_DISTANCE

__all__ = ["Queues", "issue_times"]

Index = NDArray[np.int64]

GOLDEN = (5**0.5 - 1) / 2


@dataclass(frozen=True, kw_only=True)
class Queues:
    """Edges in queues, each one PE's share of one tile.

    Parameters
    ----------
    queue : NDArray[np.int64]
        Which queue each edge is in.
    piece : NDArray[np.int64]
        Which piece of work, the edges of one queue that share a slot, each edge is of.
    size, queue_of : NDArray[np.int64]
        For each piece: its edges and its queue.
    total, fullest, tied : NDArray[np.int64]
        For each queue: its edges, those of its fullest piece, and how many pieces have so many.
    """

    queue: Index
    piece: Index
    size: Index
    queue_of: Index
    total: Index
    fullest: Index
    tied: Index

    @classmethod
    def of(cls, queue: Index, slot: Index, queues: int) -> "Queues":
        """Count what is in each queue; slot numbers need be distinct within a queue only."""
        _, piece, size = np.unique(
            queue * (slot.max() + 1) + slot, return_inverse=True, return_counts=True
        )
        queue_of = np.empty(len(size), dtype=np.int64)
        queue_of[piece] = queue
        fullest = np.zeros(queues, dtype=np.int64)
        np.maximum.at(fullest, queue_of, size)
        tied = np.bincount(queue_of[size == fullest[queue_of]], minlength=queues)
        return cls(
            queue=queue, piece=piece, size=size, queue_of=queue_of,
            total=np.bincount(queue, minlength=queues), fullest=fullest, tied=tied,
        )  # fmt: skip

    @property
    def least(self) -> Index:
        """Beats that each queue needs: its edges, and its fullest pieces spread out."""
        spread: Index = HAZARD_DISTANCE * (self.fullest - 1) + self.tied
        return np.maximum(self.total, spread)


def issue_times(queues: Queues, beats: Index, stride: int) -> Index:
    """Beat at which each edge issues, counted from the start of its queue.

    A queue's beats are read as S lanes: lane r has the beats r, r + S, r + 2 S and so on. Pieces
    of work are laid into the lanes one after the other, largest first, and wrap around from
    the end of a lane to the start of the next (McNaughton's rule). Edges of a piece are then at
    least S beats apart, if no piece is longer than the last lane or if such pieces fill whole
    lanes. The S of a queue is the most that its fullest piece allows, up to `stride`; it is
    never below the hazard distance where a queue has its ``least`` beats. As the pieces in a lane
    are of like size, they begin evenly over time.

    Parameters
    ----------
    queues : Queues
    beats : NDArray[np.int64]
        Beats that each queue has, at least its ``least``.
    stride : int
        The most lanes.

    Returns
    -------
    NDArray[np.int64]
    """
    slack = (beats - queues.tied) // np.maximum(queues.fullest - 1, 1)
    lanes = np.where(queues.fullest > 1, np.minimum(slack, stride), stride)
    lanes = np.clip(lanes, 1, np.maximum(beats, 1))

    by_size = np.lexsort((-queues.size, queues.queue_of))
    start = _starts(queues, by_size)
    turn, _ = _in_lanes(start, beats[queues.queue_of], lanes[queues.queue_of])
    # Within a lane, sizes are mixed: multiples of the golden ratio are spread evenly.
    mixed = np.argsort(by_size) * GOLDEN % 1
    start = _starts(queues, np.lexsort((mixed, turn, queues.queue_of)))
    rank = start[queues.piece] + rank_within(queues.piece, queues.size)
    return _lane_times(rank, beats[queues.queue], lanes[queues.queue])


def _starts(queues: Queues, order: Index) -> Index:
    """Edges of its queue before each piece, where pieces come in this order."""
    before = np.empty(len(order), dtype=np.int64)
    before[order] = np.cumsum(queues.size[order]) - queues.size[order]
    return before - (np.cumsum(queues.total) - queues.total)[queues.queue_of]


def _in_lanes(rank: Index, beats: Index, lanes: Index) -> tuple[Index, Index]:
    """How many lanes are filled before the edge with `rank`, and its place in its own.

    The longer lanes are filled first.
    """
    short, longer = np.divmod(beats, lanes)
    rest = rank - longer * (short + 1)
    turn = np.where(rest < 0, rank // (short + 1), longer + rest // short)
    return turn, np.where(rest < 0, rank % (short + 1), rest % short)


def _lane_times(rank: Index, beats: Index, lanes: Index) -> Index:
    """Beat of the edge with `rank` in a queue; all arrays are per edge.

    Of the longer lanes and of the others, the later ones are filled first, so that a piece
    which wraps around is early enough in its second lane.
    """
    turn, frame = _in_lanes(rank, beats, lanes)
    times: Index = frame * lanes + (beats % lanes - 1 - turn) % lanes
    return times
