# SPDX-License-Identifier: Apache-2.0
"""Tokens of a program that is run in parts, one after the other."""

from typing import get_args

import numpy as np
from numpy.typing import NDArray

from gcnloom.programs.encoding import opcodes
from gcnloom_spec.commands import Command
from gcnloom_spec.isa import HEADER, WORDS, Opcode, Unit

__all__ = ["without_crossing_tokens"]


def without_crossing_tokens(
    words: NDArray[np.uint64], starts: NDArray[np.int64]
) -> NDArray[np.uint64]:
    """Drop tokens that a command of one part leaves for a command of another.

    A unit takes the tokens of another one in the order in which they are left: the n-th wait of a
    channel takes the n-th signal. Where both are in one part they stay, so each part finds what
    it waits for, in the same order, and leaves nothing. Where they are not, the earlier part ends
    with every effect visible before the later one starts, which is all that the token said.
    Tokens without a partner stay too, for the device to complain of.

    Parameters
    ----------
    words : NDArray[np.uint64]
        Packed commands, in an order in which every token is left before it is waited for.
    starts : NDArray[np.int64]
        First command of each part, ascending from 0 on.
    """
    units = _units(words)
    parts = np.searchsorted(starts, np.arange(len(words)), side="right")
    header = WORDS[Opcode.LOAD].offsets
    kept = words.copy()
    for giver in Unit:
        for taker in Unit:
            signal = np.uint64(1 << (header["signals"] + taker))
            wait = np.uint64(1 << (header["waits"] + giver))
            signals = np.flatnonzero((units == giver) & (words[:, 0] & signal != 0))
            waits = np.flatnonzero((units == taker) & (words[:, 0] & wait != 0))
            pairs = min(len(signals), len(waits))
            crossing = parts[signals[:pairs]] != parts[waits[:pairs]]
            kept[signals[:pairs][crossing], 0] &= ~signal
            kept[waits[:pairs][crossing], 0] &= ~wait
    return kept


def _units(words: NDArray[np.uint64]) -> NDArray[np.int64]:
    table = np.full(1 << HEADER["opcode"], -1)
    for kind in get_args(Command):
        table[kind.opcode] = kind.unit
    units: NDArray[np.int64] = table[opcodes(words).astype(np.int64)]
    return units
