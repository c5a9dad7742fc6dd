# SPDX-License-Identifier: Apache-2.0
"""The sequencer of the model: where a run goes on after a repeat."""

from dataclasses import dataclass, field

from gcnloom.errors import ProgramError
from gcnloom_spec.commands import Repeat
from gcnloom_spec.isa import LOOPS

__all__ = ["Sequencer"]


@dataclass
class Sequencer:
    """Words and commands of the program that runs next, counted from the run's first word.

    Attributes
    ----------
    step : int
    offset, count : int
    """

    step: int
    count: int
    offset: int = 0
    _done: list[int] = field(default_factory=lambda: [0] * LOOPS)

    def follow(self, repeat: Repeat, *, worse: int, finish: bool) -> None:
        """Go on after a :class:`Repeat`; the `count` is zero where the run ends."""
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
