# SPDX-License-Identifier: Apache-2.0
"""Timeline of the loss engine: rows asked for word by word, gradients written as they come."""

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from math import ceil

from gcnloom_hw.epilogue.statistics import Statistics
from gcnloom_hw.update.rows import ROW_VECTORS
from gcnloom_sim.cycles.flow import NEVER
from gcnloom_sim.cycles.reading import LOSS, Port
from gcnloom_sim.cycles.timing import ACCEPTED, QUEUE, RESULTS, Timing
from gcnloom_spec.commands import Loss
from gcnloom_spec.config import AcceleratorConfig

__all__ = ["LossUnit"]


@dataclass(frozen=True)
class _Word:
    """A word to be asked for: whether a vector begins with it, whether a row ends with it.

    It is held for as many cycles as it has slices of the vector.
    """

    address: int
    first: bool = False
    row: bool = False
    slices: int = 1


def _words(command: Loss, config: AcceleratorConfig) -> Iterator[_Word]:
    """Yield words in the order of asking; those of labels before the first row they are for."""
    sums, label = config.sums, config.label
    # Of the slices of a vector, so many lie in each of its words, and in the last what is left.
    full = max(1, config.memory_bytes // (config.update_width * config.sum_bytes))
    for row in range(command.count):
        page, inside = divmod(row, label.items_per_word)
        if not inside:
            yield _Word(command.labels + page)
        item = command.address + row // sums.items_per_word * sums.words_per_item
        for panel in range(command.panels):
            for word in range(sums.words_per_item):
                ends = panel == command.panels - 1 and word == sums.words_per_item - 1
                address = item + panel * command.pitch + word
                slices = max(1, min(full, config.update_slices - word * full))
                yield _Word(address, first=not word, row=ends, slices=slices)


class LossUnit:
    """Executes one command at a time.

    Parameters
    ----------
    timing : Timing
    port : Port

    Attributes
    ----------
    command : Loss
        The last that was accepted.
    busy : bool
        A command is inside whose end is not known.
    active, stalled : float
    """

    def __init__(self, timing: Timing, port: Port) -> None:
        self._timing, self._config, self._port = timing, timing.config, port
        self.command = Loss(
            count=0, classes=0, panels=0, address=0, labels=0, record=0, multiplier=0, logits=0
        )
        self._words: Iterator[_Word] = iter(())
        self._next: _Word | None = None
        self._coming: deque[_Word] = deque()
        self._inside = self._rows = 0
        self._leaving: deque[float] = deque()
        self._raised, self._divided = NEVER, deque([NEVER] * ROW_VECTORS, maxlen=ROW_VECTORS)
        room = max(1, (RESULTS + 4) // self._config.update_slices)
        self._left = deque([NEVER] * room, maxlen=room)
        self._held = 0
        self._start = 0.0
        self.busy = False
        self.active = self.stalled = 0.0

    def begin(self, command: Loss, start: float) -> None:
        """Accept a command."""
        self.busy, self.command, self._start = True, command, start
        self._rows = 0
        self._words = _words(command, self._config)
        self._next = next(self._words)

    def events(self, now: int) -> Iterator[int]:
        """Yield when the next word can be asked for, if not in the next cycle."""
        if self._next is not None:
            later = [self._start] if self._start > now else []
            yield max(ceil(min([*later, *self._leaving], default=now)), now) + 1

    def takes(self) -> bool:
        """Whether the word that has come is taken in this cycle, the last of its slices."""
        self._held += 1
        if self._held < self._coming[0].slices:
            return False
        self._held = 0
        return True

    def step(self, now: int, *, arrives: bool, room: bool) -> tuple[bool, float | None]:
        """Take a word, ask for one; return whether it asks, and the command's end once known."""
        end = None
        if arrives and self._coming.popleft().row:
            end = self._row(now)
        while self._leaving and self._leaving[0] < now:
            self._leaving.popleft()
            self._inside -= 1
        word = self._next
        if word is None or not room or self._start >= now:
            return False, end
        if word.first and self._inside == ROW_VECTORS:
            return False, end
        self._inside += word.first
        self._port.expect(LOSS, word.address, 1)
        self._coming.append(word)
        self._next = next(self._words, None)
        return True, end

    def _row(self, came: int) -> float | None:
        """Time the row whose last word came; return the command's end after the last one."""
        panels, slices = self.command.panels, self._config.update_slices
        # Times are those of the last slice of a vector.
        first = came + self._timing.to_powers
        for panel in range(1, panels + 1):
            room = self._divided[panel - 1] + 1
            self._raised = max(first + panel * slices - 1, self._raised + slices, room)
            self._leaving.append(self._raised)
        ready = self._raised + self._timing.to_gradients
        for panel in range(1, panels + 1):
            divided = ready + panel * slices - 1
            divided = max(divided, self._divided[-1] + slices, self._left[0] + 1)
            self._divided.append(divided)
            there = divided + RESULTS + QUEUE + self._timing.regrouping
            self._left.append(max(there, self._left[-1] + 1))
            if self.command.gradient:
                self._left[-1] = self._write(self._gradient(panel), 1, self._left[-1])
        self._rows += 1
        self.active += panels
        return self._end() if self._rows == self.command.count else None

    def _gradient(self, panel: int) -> int:
        """Return where the present row's gradients lie."""
        word = self._rows // self._config.vector.items_per_word
        return self.command.gradients + panel * self.command.gradient_pitch + word

    def _write(self, address: int, words: int, first: float) -> float:
        """Write words from `first` on; return when the last one has left."""
        first += self._port.turn(LOSS)
        last = first + words - 1
        return last + self._port.store(address, words, first + QUEUE, last + QUEUE)[-1]

    def _end(self) -> float:
        """Write the record; return when the command signals."""
        words = self._config.record.words_per_item
        left = self._write(self.command.record, words, self._left[-1] + 1)
        end = left + QUEUE + ACCEPTED
        self.stalled += end - self._start - self.command.count * self.command.panels
        self.busy = False
        return end

    @property
    def counted(self) -> float:
        """When the statistics of the last vector are there."""
        return self._divided[-1] + RESULTS + 1 + Statistics.latency
