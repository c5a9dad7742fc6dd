# SPDX-License-Identifier: Apache-2.0
"""Repair of a row block's beats: edges of one slot that are too close change places."""

import numpy as np
from numpy.typing import NDArray

from gcnloom_spec.isa import HAZARD_DISTANCE

__all__ = ["padding", "repair"]

Index = NDArray[np.int64]

ROUNDS = 60
PATIENCE = 12
"""Rounds without a gain after which nothing more is tried."""
HOPELESS = 0.1
"""Share of places too close after the first kind of swap above which the second is no use."""
TRIES = 16
"""Places that an edge tries in each round."""
NEAREST = 4
"""Places of the group on either side that an edge tries at first; later ones are further."""


def repair(chunk: Index, bank: Index, tile: Index) -> Index:
    """Swap edges until none is within the hazard distance of another of its chunk.

    Edges swap places with others of their PE, tile and bank. What is left after some rounds
    swaps places with any edge of its PE and tile, and where that would have a bank read twice in
    a beat, so do the edges of the PEs concerned. What is left then is left.

    Parameters
    ----------
    chunk : NDArray[np.int64]
        Chunk that each PE adds to in each beat, -1 if it rests; shape ``(beats, pes)``.
        Changed in place.
    bank : NDArray[np.int64]
        Bank that each PE may read in each beat, of the same shape; all -1 without banks.
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
        group = tile[:, None] * chunk.shape[1] + np.arange(chunk.shape[1])
        _swap_edges(chunk, group * (int(bank.max()) + 2) + bank + 1, source, rng)
        if len(_too_close(chunk)) <= HOPELESS * chunk.size:
            _swap_chains(chunk, np.where(chunk >= 0, bank, -1), tile, source, rng)
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
    distance = np.arange(1, HAZARD_DISTANCE)
    near = place[..., None] + np.concatenate([-distance, distance]) * chunk.shape[1]
    inside = (near >= 0) & (near < chunk.size) & (near != other[..., None])
    found = chunk.ravel()[np.where(inside, near, 0)] == value[..., None]
    clashes: Index = np.sum(found & inside & (value >= 0)[..., None], axis=-1)
    return clashes


def _swap_edges(chunk: Index, group: Index, source: Index, rng: np.random.Generator) -> None:
    """Let every edge that is too close try places of its group, near ones first.

    An edge that moves far might become the first of its chunk, and these are spread evenly.
    """
    flat = chunk.ravel()
    members = np.argsort(group.ravel(), kind="stable")
    count = np.bincount(group.ravel())
    start = np.cumsum(count) - count
    rank = np.empty(chunk.size, dtype=np.int64)
    rank[members] = np.arange(chunk.size)
    claim = np.full(chunk.size, -1, dtype=np.int64)
    fewest, since = chunk.size, 0
    for turn in range(ROUNDS):
        place = _too_close(chunk)
        fewest, since = (len(place), turn) if len(place) < fewest else (fewest, since)
        if not len(place) or turn - since > PATIENCE:
            return
        reach = NEAREST << turn // 4
        mine = group.ravel()[place]
        other = rank[place][:, None] + rng.integers(-reach, reach + 1, (len(place), TRIES))
        low = start[mine][:, None]
        other = members[np.clip(other, low, low + count[mine][:, None] - 1)]
        best, good = _best(flat, chunk, place, other)
        place, other = place[good], best[good]
        # Of two swaps that meet only one is done: the rest is for the next round.
        swap = np.arange(len(place))
        claim[place] = swap
        claim[other] = swap
        alone = (claim[place] == swap) & (claim[other] == swap)
        _exchange(flat, source, place[alone], other[alone])


def _best(flat: Index, chunk: Index, place: Index, other: Index) -> tuple[Index, NDArray[np.bool_]]:
    """Of the `other` places for each edge that with fewest clashes, and whether it is a gain."""
    here = np.broadcast_to(place[:, None], other.shape)
    there = _clashes(chunk, here, flat[other], other)
    clashes = there + _clashes(chunk, other, flat[here], here)
    line = np.arange(len(place))
    index = np.argmin(clashes, axis=1)
    best = other[line, index]
    before = _clashes(chunk, place, flat[place], place)
    return best, (clashes[line, index] < before) & (flat[place] != flat[best])


def _exchange(flat: Index, source: Index, one: Index, other: Index) -> None:
    flat[one], flat[other] = flat[other], flat[one]
    source[one], source[other] = source[other], source[one]


def _swap_chains(
    chunk: Index, bank: Index, tile: Index, source: Index, rng: np.random.Generator
) -> None:
    """Let every edge that is too close change beats, with all that must not stay behind."""
    pes = chunk.shape[1]
    ends = np.cumsum(np.bincount(tile))
    low, high = (ends - np.bincount(tile))[tile], ends[tile] - 1
    claim = np.full(len(chunk), -1, dtype=np.int64)
    fewest, since = chunk.size, 0
    for turn in range(ROUNDS):
        place = _too_close(chunk)
        fewest, since = (len(place), turn) if len(place) < fewest else (fewest, since)
        if not len(place) or turn - since > PATIENCE:
            return
        here, pe = np.divmod(place, pes)
        reach = NEAREST << turn // 4
        there = here[:, None] + rng.integers(-reach, reach + 1, (len(here), TRIES))
        there = np.clip(there, low[here][:, None], high[here][:, None])
        chain = _chains(bank, here, there, pe)
        gain = _gains(chunk, here, there, chain)
        line = np.arange(len(here))
        # Swaps that gain nothing are done now and then, to get out of dead ends.
        best = np.argmax(gain + rng.random(gain.shape) / 2, axis=1)
        there, chain, gain = there[line, best], chain[line, best], gain[line, best]
        good = (there != here) & ((gain > 0) | ((gain == 0) & (rng.random(len(gain)) < 0.3)))
        swap = np.arange(len(here))
        claim[here[good]] = swap[good]
        claim[there[good]] = swap[good]
        good &= (claim[here] == swap) & (claim[there] == swap)
        which, moving = np.nonzero(chain[good])
        one, other = here[good][which] * pes + moving, there[good][which] * pes + moving
        _exchange(chunk.ravel(), source, one, other)
        flat = bank.ravel()
        flat[one], flat[other] = flat[other], flat[one]


def _chains(bank: Index, here: Index, there: Index, pe: Index) -> NDArray[np.bool_]:
    """PEs that must swap two beats for `pe` to do so; shape ``(swaps, tries, pes)``."""
    ours, theirs = bank[here][:, None, :], bank[there]
    bound = (ours[..., :, None] == theirs[..., None, :]) & (ours >= 0)[..., :, None]
    bound |= bound.swapaxes(-1, -2)
    chain = np.broadcast_to(np.arange(bank.shape[1]) == pe[:, None, None], theirs.shape)
    while True:
        grown: NDArray[np.bool_] = chain | np.any(bound & chain[..., None, :], axis=-1)
        if np.array_equal(grown, chain):
            return grown
        chain = grown


def _gains(chunk: Index, here: Index, there: Index, chain: NDArray[np.bool_]) -> Index:
    """Edges too close before a swap of beats less those after it; shape ``(swaps, tries)``."""
    pes = chunk.shape[1]
    flat = chunk.ravel()
    two = there[..., None] * pes + np.arange(pes)
    one = np.broadcast_to((here * pes)[:, None, None] + np.arange(pes), two.shape)
    first, second = one[chain], two[chain]
    gain = _clashes(chunk, first, flat[first], first) + _clashes(
        chunk, second, flat[second], second
    )
    gain -= _clashes(chunk, second, flat[first], first) + _clashes(
        chunk, first, flat[second], second
    )
    gain[flat[first] == flat[second]] = 0
    gains: Index = np.zeros(chain.shape, dtype=np.int64)
    gains[chain] = gain
    total: Index = gains.sum(axis=-1)
    return total
