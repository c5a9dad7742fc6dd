# SPDX-License-Identifier: Apache-2.0
"""Records of losses that a device is to leave elsewhere than where they belong."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from gcnloom.programs.encoding import opcodes
from gcnloom_spec.config import Packing
from gcnloom_spec.isa import WORDS, Opcode

__all__ = ["Lent", "lend_records"]

LOSS = WORDS[Opcode.LOSS]


@dataclass(frozen=True, kw_only=True)
class Lent:
    """Records that lie one behind the other until they are put where they belong.

    Attributes
    ----------
    address, words : int
        All of them.
    homes : tuple of int
        Where the word in which each belongs begins, in the order in which they are left.
    bytes_of : slice
        Bytes of it, counted from there.
    """

    address: int
    words: int
    homes: tuple[int, ...]
    bytes_of: slice


def lend_records(words: NDArray[np.uint64], address: int, step: int, packing: Packing) -> Lent:
    """Let packed losses, in place, leave the records of a step from `address` on."""
    ahead, inside = divmod(step, packing.items_per_word)
    ahead *= packing.words_per_item
    where = np.flatnonzero(opcodes(words) == Opcode.LOSS)
    columns = LOSS.unpack(words[where, : LOSS.limbs])
    most = 1 << LOSS.fields["record"]
    homes = (columns["record"] + ahead) % most
    # The device adds to the address what lies between the first step and this one.
    columns["record"] = (address + np.arange(len(where)) * packing.words_per_item - ahead) % most
    words[where, : LOSS.limbs] = LOSS.pack(**columns)
    return Lent(
        address=address, words=len(where) * packing.words_per_item, homes=tuple(homes.tolist()),
        bytes_of=slice(inside * packing.item_bytes, (inside + 1) * packing.item_bytes),
    )  # fmt: skip
