# SPDX-License-Identifier: Apache-2.0
"""What the step engine reads: weights and momenta, as far ahead as there is room for them."""

from collections import deque
from collections.abc import Iterator
from math import ceil

from gcnloom_hw.update.masters import arrival, words_ahead
from gcnloom_sim.cycles.flow import NEVER
from gcnloom_sim.cycles.reading import STEP, Port
from gcnloom_sim.cycles.timing import QUEUE, Timing
from gcnloom_spec.commands import Step

__all__ = ["MastersReader"]

UNPACKED = 3
"""Items that have left the queue of words: one being unpacked, two behind it."""
UNPACK = QUEUE + 1 + QUEUE
"""Cycles from when an item's last word has arrived until the item can be used."""


class MastersReader:
    """Asks for a word a cycle, one step after the other.

    Parameters
    ----------
    timing : Timing
    port : Port
    """

    def __init__(self, timing: Timing, port: Port) -> None:
        self._packing, self._port = timing.config.masters, port
        self._unpack = arrival(timing.config) + UNPACK
        packing, slices = self._packing, timing.config.update_slices
        # The slices of an item leave one by one, and only then its successor is gathered.
        self._gathering = packing.words_per_item if slices > 1 else 0
        self._gathered = NEVER
        unpacked = UNPACKED if slices == 1 else 1
        self._depth = (
            words_ahead(timing.config) + unpacked * packing.words_per_item // packing.items_per_word
        )
        # Words of all steps, counted.
        self._expected = self._asked = self._came = self._used = 0
        self._address = self._begun = self._now = 0
        # Of each item, with what word it is there; and since when it is.
        self._coming: deque[int] = deque()
        self._here: deque[tuple[int, int]] = deque()
        self._leaving: deque[tuple[float, int]] = deque()

    def free(self, now: int) -> bool:
        """Whether the words of another step can be asked for."""
        return self._asked == self._expected and self._begun < now

    def read(self, step: Step, now: int) -> None:
        """Ask for the words of a step, from the next cycle on."""
        items = range(1, step.count + 1)
        self._coming.extend(self._expected + self._packing.words(number) for number in items)
        self._expected += self._packing.words(step.count)
        self._address, self._begun = step.address, now

    def has(self, items: int) -> bool:
        """Whether so many items have come, or as many as there is room for."""
        return len(self._here) >= items or self._asked - self._used >= self._depth

    @property
    def there(self) -> float:
        """When the next item can be used; if it has not come, then if nobody else reads."""
        if self._here:
            return max(self._here[0][1] + self._unpack, self._gathered)
        missing = self._coming[0] - self._came
        asking = self._port.latency if self._coming[0] > self._asked else 0
        return max(self._now + missing + asking + self._unpack, self._gathered)

    def leave(self, time: float) -> None:
        """Use the next item, the last of its slices at `time`."""
        self._gathered = time + self._gathering
        word = self._here.popleft()[0] if self._here else self._coming.popleft()
        self._leaving.append((time, word))

    def events(self, now: int) -> Iterator[int]:
        """Yield when there will be room for another word."""
        if self._asked < self._expected and self._leaving:
            yield max(ceil(self._leaving[0][0]), now) + 1

    def step(self, now: int, *, arrives: bool, room: bool) -> bool:
        """Take a word, ask for one; return whether it asks."""
        self._now = now
        self._came += arrives
        while self._coming and self._coming[0] <= self._came:
            self._here.append((self._coming.popleft(), now))
        while self._leaving and self._leaving[0][0] < now:
            self._used = self._leaving.popleft()[1]
        if not room or self._asked == self._expected or self._begun >= now:
            return False
        if self._asked - self._used >= self._depth:
            return False
        self._port.expect(STEP, self._address, 1)
        self._address += 1
        self._asked += 1
        if self._asked == self._expected:
            self._begun = now
        return True
