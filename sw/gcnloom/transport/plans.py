# SPDX-License-Identifier: Apache-2.0
"""Programs in segments."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from gcnloom.programs.crossing import without_crossing_tokens
from gcnloom.programs.encoding import decode, unpack_by_opcode
from gcnloom.programs.repeating import split
from gcnloom.programs.segments import NEVER, Segment, Sizes, cut
from gcnloom_spec.commands import Repeat
from gcnloom_spec.isa import WORDS

__all__ = ["Part", "Plan"]

PATCHED = ("shift", "record")
"""Fields that may change from run to run, and neither a token nor a page with them."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Part:
    """Commands of a run up to a repeat.

    Attributes
    ----------
    words : NDArray[np.uint64]
        Packed, without the repeat.
    repeat : Repeat
        What comes after them.
    key : bytes
        Names what is cut alike.
    """

    words: NDArray[np.uint64]
    repeat: Repeat
    key: bytes

    @classmethod
    def of(cls, program: NDArray[np.uint64]) -> "Part":
        """Part the packed commands of a program from its repeat."""
        words, repeat = split(program)
        masked = words.copy()
        for opcode, (where, _) in unpack_by_opcode(words).items():
            word = WORDS[opcode]
            for name in PATCHED:
                if name in word.fields:
                    ones = word.pack(**{name: (1 << word.fields[name]) - 1})
                    masked[where, : word.limbs] &= ~ones
        return cls(words=words, repeat=repeat, key=hashlib.sha256(masked.tobytes()).digest())


@dataclass(frozen=True, kw_only=True, eq=False)
class Plan:
    """A program in segments.

    Attributes
    ----------
    key : bytes
        Names it.
    segments : sequence of Segment
    headers : NDArray[np.uint64]
        First limb of each command, with tokens that stay within its segment.
    """

    key: bytes
    segments: Sequence[Segment]
    headers: NDArray[np.uint64]

    @classmethod
    def of(cls, part: Part, sizes: Sizes) -> "Plan":
        """Cut a program."""
        segments = cut(decode(part.words), sizes)
        starts = np.array([segment.commands.start for segment in segments])
        headers = without_crossing_tokens(part.words, starts)[:, 0].copy()
        return cls(key=part.key, segments=segments, headers=headers)

    @cached_property
    def first(self) -> NDArray[np.int64]:
        """First segment that touches each page up to the highest, or :data:`NEVER`."""
        highest = max(int(segment.pages.max(initial=-1)) for segment in self.segments)
        first = np.full(highest + 1, NEVER)
        for number, segment in reversed(list(enumerate(self.segments))):
            first[segment.pages] = number
        return first
