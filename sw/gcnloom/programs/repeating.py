# SPDX-License-Identifier: Apache-2.0
"""Where a run goes on after a repeat: what a device's sequencer does, for those that have none."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from gcnloom.errors import ProgramError
from gcnloom.programs.encoding import decode, opcodes
from gcnloom_spec.commands import Command, Repeat
from gcnloom_spec.isa import LOOPS, Opcode

__all__ = ["Sequencer", "split"]


@dataclass(kw_only=True)
class Sequencer:
    """The program that runs next.

    Attributes
    ----------
    step : int
        Step that the run has come to.
    offset, count : int
        Its first word, counted from the run's first one, and its commands; none: the run ends.
    """

    step: int
    count: int
    offset: int = 0
    _done: list[int] = field(default_factory=lambda: [0] * LOOPS)

    def follow(self, repeat: Repeat, *, worse: int, finish: bool) -> None:
        """Go on after a :class:`Repeat`.

        Parameters
        ----------
        repeat : Repeat
        worse : int
            Judged losses since the smallest.
        finish : bool
            Whether the run is to end when its step advances.
        """
        if not repeat.passes:
            raise ProgramError("a repeat of 0 passes; try at least 1")
        self.step = (self.step + repeat.advance) & 0xFFFFFFFF
        self._done[repeat.loop] += 1
        if (repeat.advance and finish) or (repeat.patience and worse >= repeat.patience):
            self.count = 0
        elif self._done[repeat.loop] < repeat.passes:
            self.offset, self.count = repeat.target, repeat.target_count
        else:
            self._done[repeat.loop] = 0
            self.offset, self.count = repeat.following, repeat.following_count


def split(words: NDArray[np.uint64]) -> tuple[NDArray[np.uint64], Repeat]:
    """Part the packed commands of a program from its repeat; without one, the run ends."""
    repeats = np.flatnonzero(opcodes(words) == Opcode.REPEAT)
    if (repeats < len(words) - 1).any():
        raise ProgramError(
            f"command {repeats[0]} (repeat) is not its program's last; try one program each"
        )
    if not len(repeats):
        return words, Repeat()
    last: Sequence[Command | Repeat] = decode(words[-1:])
    repeat = last[0] if isinstance(last[0], Repeat) else Repeat()
    return words[:-1], repeat
