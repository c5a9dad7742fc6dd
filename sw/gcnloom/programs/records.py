# SPDX-License-Identifier: Apache-2.0
"""Records of losses, which lie where the step says."""

import numpy as np
from numpy.typing import NDArray

from gcnloom.programs.encoding import opcodes
from gcnloom_spec.config import Packing
from gcnloom_spec.isa import WORDS, Opcode

__all__ = ["move_records", "record_offset", "records"]

LOSS = WORDS[Opcode.LOSS]


def record_offset(step: int, packing: Packing) -> int:
    """Words from the first step's record to the word in which a step's begins."""
    return step // packing.items_per_word * packing.words_per_item


def records(words: NDArray[np.uint64]) -> NDArray[np.int64]:
    """Address in the field `record` of each loss."""
    found: NDArray[np.int64] = LOSS.unpack(words[_losses(words), : LOSS.limbs])["record"]
    return found


def move_records(words: NDArray[np.uint64], by: int) -> None:
    """Add to the field `record` of each loss, in place, as the device adds: modulo ``2 ** 32``."""
    where = _losses(words)
    columns = LOSS.unpack(words[where, : LOSS.limbs])
    columns["record"] = (columns["record"] + by) % (1 << LOSS.fields["record"])
    words[where, : LOSS.limbs] = LOSS.pack(**columns)


def _losses(words: NDArray[np.uint64]) -> NDArray[np.int64]:
    return np.flatnonzero(opcodes(words) == Opcode.LOSS)
