# SPDX-License-Identifier: Apache-2.0
"""Repair of a row block's beats: edges of one slot that are too close change places."""

import numpy as np
from numpy.typing import NDArray

from gcnloom_spec.isa import HAZARD_DISTANCE

__all__ = ["padding", "repair"]

Index = NDArray[np.int64]

ROUNDS = 60
TRIES = 16
"""Places that an edge tries in each round."""
NEAR = np.array([d for d in range(1 - HAZARD_DISTANCE, HAZARD_DISTANCE) if d], dtype=np.int64)


def repair(chunk: Index, group: Index, tile: Index) -> Index:
    """Swap edges until none is within the hazard distance of another of its chunk.

    Edges swap places with others of their `group`, or else whole beats of a tile do. What is
    left after some rounds is left.

    Parameters
    ----------
    chunk : NDArray[np.int64]
        Chunk that each PE adds to in each beat, -1 if it rests; shape ``(beats, pes)``.
        Changed in place.
    group : NDArray[np.int64]
        What may change places with what, of the same shape.
    tile : NDArray[np.int64]
        Tile of each beat.

    Returns
    -------
    NDArray[np.int64]
        The place, as an index into the flat array, from which the edge at each place came.
    """
    source = np.arange(chunk.size)
    if len(_too_close(chunk)):
        rng = np.random.default_rng(0)
        _swap_edges(chunk, group, source, rng)
        _swap_beats(chunk, tile, source, rng)
    return source


def padding(chunk: Index) -> Index:
    """Idle beats to insert before each beat so that no edges are too close."""
    need = np.zeros(len(chunk), dtype=np.int64)
    for distance in range(1, min(HAZARD_DISTANCE, len(chunk))):
        close = np.any((chunk[distance:] == chunk[:-distance]) & (chunk[distance:] >= 0), axis=1)
        need[distance:][close] = np.maximum(need[distance:][close], HAZARD_DISTANCE - distance)
    return need


def _too_close(chunk: Index) -> Index:
    """Places of the later of two edges that are too close, flat."""
    close = np.zeros(chunk.shape, dtype=bool)
    for distance in range(1, min(HAZARD_DISTANCE, len(chunk))):
        close[distance:] |= chunk[distance:] == chunk[:-distance]
    close &= chunk >= 0
    return np.flatnonzero(close)


def _clashes(chunk: Index, place: Index, value: Index, other: Index) -> Index:
    """Edges too near `place` for an edge of chunk `value`; `other` is about to be vacated."""
    pes = chunk.shape[1]
    near = place[..., None] + NEAR * pes
    inside = (near >= 0) & (near < chunk.size) & (near != other[..., None])
    found = chunk.ravel()[np.where(inside, near, 0)] == value[..., None]
    clashes: Index = np.sum(found & inside & (value >= 0)[..., None], axis=-1)
    return clashes


def _swap_edges(chunk: Index, group: Index, source: Index, rng: np.random.Generator) -> None:
    flat = chunk.ravel()
    members = np.argsort(group.ravel(), kind="stable")
    _, start, which, count = np.unique(
        group.ravel()[members], return_index=True, return_inverse=True, return_counts=True
    )
    of = np.empty(chunk.size, dtype=np.int64)
    of[members] = which
    claim = np.full(chunk.size, -1, dtype=np.int64)
    for _ in range(ROUNDS):
        place = _too_close(chunk)
        if not len(place):
            return
        # Either of the two edges may move, but more often the later one.
        tried = rng.random((len(place), TRIES))
        mine = of[place][:, None]
        other = members[start[mine] + (tried * count[mine]).astype(np.int64)]
        here = np.broadcast_to(place[:, None], other.shape)
        clashes = _clashes(chunk, other, flat[here], here) + _clashes(
            chunk, here, flat[other], other
        )
        best = np.argmin(clashes, axis=1)
        line = np.arange(len(place))
        before = _clashes(chunk, place, flat[place], place)
        good = (clashes[line, best] < before) & (flat[place] != flat[other[line, best]])
        place, other = place[good], other[line, best][good]
        # Two swaps that meet: the later one is done.
        swap = np.arange(len(place))
        claim[place], claim[other] = -1, -1
        claim[place] = swap
        claim[other] = swap
        alone = (claim[place] == swap) & (claim[other] == swap)
        place, other = place[alone], other[alone]
        flat[place], flat[other] = flat[other], flat[place]
        source[place], source[other] = source[other], source[place]


def _swap_beats(chunk: Index, tile: Index, source: Index, rng: np.random.Generator) -> None:
    """Swap whole beats, one pair at a time: few are left, and each may meet the next."""
    pes = chunk.shape[1]
    lanes = np.arange(pes)
    ends = np.cumsum(np.bincount(tile))
    for place in np.unique(_too_close(chunk) // pes).tolist():
        low = int(ends[tile[place] - 1]) if tile[place] else 0
        other = rng.integers(low, ends[tile[place]], TRIES)
        here, there = place * pes + lanes, other[:, None] * pes + lanes
        here = np.broadcast_to(here, there.shape)
        flat = chunk.ravel()
        before = _clashes(chunk, here, flat[here], here) + _clashes(
            chunk, there, flat[there], there
        )
        after = _clashes(chunk, there, flat[here], here) + _clashes(chunk, here, flat[there], there)
        gain = np.sum(before - after, axis=1)
        best = int(np.argmax(gain))
        if gain[best] > 0:
            a, b = here[best], there[best]
            flat[a], flat[b] = flat[b], flat[a]
            source[a], source[b] = source[b], source[a]
