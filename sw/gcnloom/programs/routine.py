# SPDX-License-Identifier: Apache-2.0
"""Routine: programs that follow each other, and repeat, as one run of a device."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from gcnloom.errors import ProgramError
from gcnloom.programs.encoding import encode
from gcnloom.programs.listing import listing
from gcnloom.programs.program import Program
from gcnloom_spec.commands import Repeat
from gcnloom_spec.config import AcceleratorConfig
from gcnloom_spec.isa import COMMAND_BYTES, LOOPS

__all__ = ["Part", "Routine"]

ONCE = Repeat(loop=LOOPS - 1)
"""Its loop is counted to 1 each time, so that no other may have it."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Part:
    """A program and what comes after it.

    Parameters
    ----------
    program : Program
    repeat : Repeat
        How often parts from `back` on run, and what else happens between two passes; where they
        lie is filled in.
    back : int, optional
        Number of the part to go back to.
    """

    program: Program
    repeat: Repeat = ONCE
    back: int = 0


@dataclass(frozen=True, kw_only=True, eq=False)
class Routine:
    """Parts that run one after the other, each when everything before has ended.

    Parameters
    ----------
    parts : sequence of Part
        At least one.
    config : AcceleratorConfig
    names : Mapping[int, str]
        Tensor names by number, for :meth:`listing`.
    """

    parts: Sequence[Part]
    config: AcceleratorConfig
    names: Mapping[int, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if not self.parts:
            raise ProgramError("a routine of no parts does nothing; try at least one program")
        for number, part in enumerate(self.parts):
            if part.back > number:
                raise ProgramError(
                    f"part {number} goes back to part {part.back}, which comes later; "
                    "try an earlier one"
                )

    @property
    def first_commands(self) -> int:
        """Commands of the first part, its repeat included."""
        return len(self.parts[0].program) + 1

    @cached_property
    def words(self) -> int:
        """Words of device memory."""
        return self._starts[-1]

    def to_bytes(self) -> bytes:
        """Return what lies in device memory: part after part, each from a word of its own on."""
        pieces = []
        for number, part in enumerate(self.parts):
            data = np.vstack([part.program.words, encode([self._repeat(number)])])
            size = (self._starts[number + 1] - self._starts[number]) * self.config.memory_bytes
            pieces.append(data.astype("<u8").tobytes().ljust(size, b"\0"))
        return b"".join(pieces)

    def listing(self) -> str:
        """Human assembly, part after part."""
        texts = []
        for number, part in enumerate(self.parts):
            commands = [*part.program.commands, self._repeat(number)]
            texts.append(f"+{self._starts[number]:#x}\n{listing(commands, self.names)}")
        return "\n\n".join(texts)

    @cached_property
    def _starts(self) -> tuple[int, ...]:
        """First word of each part, and the first behind the last."""
        sizes: NDArray[np.int64] = np.array([len(part.program) + 1 for part in self.parts])
        words = -(-sizes * COMMAND_BYTES // self.config.memory_bytes)
        return (0, *np.cumsum(words).tolist())

    def _repeat(self, number: int) -> Repeat:
        part = self.parts[number]
        following = self.parts[number + 1 : number + 2]
        return replace(
            part.repeat,
            target=self._starts[part.back],
            target_count=len(self.parts[part.back].program) + 1,
            following=self._starts[number + 1] if following else 0,
            following_count=len(following[0].program) + 1 if following else 0,
        )
