# SPDX-License-Identifier: Apache-2.0
"""What aggregates and drains work on: in which beats a drain can read, and what it reads."""

from collections import deque

import numpy as np
from numpy.typing import NDArray

from gcnloom_spec.commands import Drain
from gcnloom_spec.config import AcceleratorConfig
from gcnloom_spec.isa import HAZARD_DISTANCE
from gcnloom_spec.items import edge_word, order_word

__all__ = ["entries", "free_beats"]


def free_beats(edges: NDArray[np.uint64], config: AcceleratorConfig) -> NDArray[np.int32]:
    """Say for each beat and PE which beat, from this one on, is the first that is free.

    It is free if the PE reads no sum for itself: its edge is the first of a slot, of the slot
    that the edge a hazard distance before has just added to, or none. If there is no such beat
    any more, the number of beats is given.
    """
    fields = edge_word(config).unpack(edges[..., np.newaxis])
    valid, first, slot = fields["valid"] > 0, fields["first"] > 0, fields["slot"]
    beats = np.arange(len(edges), dtype=np.int32)[:, np.newaxis]
    reads = valid & ~first
    far = HAZARD_DISTANCE
    reads[far:] &= ~(valid[:-far] & (slot[far:] == slot[:-far]))
    own = np.where(reads, np.int32(len(edges)), beats)
    following: NDArray[np.int32] = np.minimum.accumulate(own[::-1], axis=0)[::-1]
    return following


def entries(
    command: Drain, config: AcceleratorConfig, order: NDArray[np.uint64] | None
) -> deque[tuple[int, bool]]:
    """List the entries of a drain: whose word each reads, and whether a beat ends with it.

    Without the packed `order` PEs take turns, and rows end at even distances. A command without
    an entry has one beat that only says so.
    """
    if order is None or not len(order):
        count, beats = max(command.count, 1), max(command.emission.vectors, 1)
        index = np.arange(count)
        pe, last = index % config.pes, (index + 1) * beats // count > index * beats // count
    else:
        fields = order_word(config).unpack(order[:, np.newaxis])
        pe, last = fields["pe"], fields["last"] > 0
        last[-1] = True
    return deque(zip(pe.tolist(), last.tolist(), strict=True))
