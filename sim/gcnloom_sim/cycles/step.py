# SPDX-License-Identifier: Apache-2.0
"""Timeline of the step engine: gradients taken, masters read ahead and written with operands."""

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from math import ceil, inf

from gcnloom_hw.epilogue.statistics import Statistics
from gcnloom_hw.update.draws import draw_cycles, draw_latency
from gcnloom_hw.update.lane import StepLane
from gcnloom_hw.update.order import WAITING
from gcnloom_sim.cycles.flow import NEVER
from gcnloom_sim.cycles.masters import MastersReader
from gcnloom_sim.cycles.reading import STEP, Port
from gcnloom_sim.cycles.timing import ACCEPTED, BETWEEN_STEPS, BETWEEN_WRITES, QUEUE, Timing
from gcnloom_spec.commands import Step
from gcnloom_spec.isa import Source

__all__ = ["StepUnit"]

TAKEN = 2
"""Gradients that wait to be stepped."""
BEGIN_TO_TAKE = 2
"""Cycles from a step's beginning to the first in which a gradient can be taken."""
COALESCED = 2
"""Cycles from the last vector of operands to their word."""


@dataclass
class _Pending:
    """A step that is inside; times of its beginning and of its vectors as far as they are known."""

    command: Step
    accepted: int
    drawn: float
    remaining: int
    begun: float
    issued: deque[float] = field(default_factory=lambda: deque([NEVER] * TAKEN, maxlen=TAKEN))
    taken: float = NEVER


class StepUnit:
    """Takes gradients for the oldest step.

    Parameters
    ----------
    timing : Timing
    port : Port

    Attributes
    ----------
    ended : list of (Step, float)
        Steps that came to their end, and when, for whoever looks there to take away.
    masters : MastersReader
    counted : float
        When the statistics of the last step that ended are there.
    active, stalled : float
    """

    def __init__(self, timing: Timing, port: Port) -> None:
        self._timing, self._config, self._port = timing, timing.config, port
        self._pending: deque[_Pending] = deque()
        self._slices = timing.config.update_slices
        self._promised = dict.fromkeys(Source, 0)
        room = max(1, (StepLane.stepped + 4) // self._slices)
        self._stepped = deque([NEVER] * room, maxlen=room)
        self._last = self._drawn = NEVER
        # When masters can next be written, and when operands were.
        self._free = self._operands = self._regrouped = NEVER
        self.masters = MastersReader(timing, port)
        self.ended: list[tuple[Step, float]] = []
        self.counted = NEVER
        self.active = self.stalled = 0.0

    @property
    def busy(self) -> bool:
        """Whether a step is inside whose end is not known."""
        return bool(self._pending)

    def room(self, now: int) -> bool:
        """Whether another step could be accepted."""
        waiting = sum(step.begun >= now for step in self._pending)
        return waiting < WAITING and self.masters.free(now)

    def events(self, now: int) -> Iterator[int]:
        """Yield when there may be room for another step."""
        for step in self._pending:
            if now <= step.begun < inf:
                yield ceil(step.begun) + 1

    def accept(self, command: Step, now: int) -> None:
        """Accept a step; its words are asked for at once."""
        drawn = NEVER
        if command.stochastic:
            asked = max(now + QUEUE, self._drawn)
            self._drawn = asked + command.count * self._slices * draw_cycles(self._config)
            self._drawn += self._slices > 1
            drawn = asked + 1 + draw_latency(self._config)
        self.masters.read(command, now)
        begun = inf if self._pending else max(now + QUEUE, self._last + 1)
        self._pending.append(_Pending(command, now, drawn, command.count, begun))

    def promise(self, source: int, count: int) -> None:
        """Say that so many gradients will come, which steps take that are inside."""
        self._promised[Source(source)] += count

    def covers(self, source: int, count: int) -> bool:
        """Return whether the oldest steps of all take so many more gradients of a source."""
        count += self._promised[Source(source)]
        for step in self._pending:
            if step.command.source != source:
                return False
            count -= step.remaining
            if count <= 0:
                return True
        return False

    def take(self, source: int, count: int, first: float, last: float) -> tuple[float, float]:
        """Take gradients that come from `first` to `last`; return when the two were taken."""
        apart = (last - first) / max(count - 1, 1)
        self._promised[Source(source)] -= count
        taken = []
        for number in range(count):
            step = self._pending[0]
            taken.append(self._take(step, first + number * apart))
            if not step.remaining:
                self._finish(step)
        return taken[0], taken[-1]

    def _take(self, step: _Pending, came: float) -> float:
        """Take a gradient and step it slice by slice; return when it was taken."""
        more = self._slices - 1
        # Slices wait where whole gradients would; of these, one is there until its last is.
        room = step.issued[0 if not more else -1] + (not more)
        first = max(came, step.begun + BEGIN_TO_TAKE, step.taken + 1, room)
        issued = more + max(
            first + QUEUE,
            step.begun + BETWEEN_STEPS,
            step.issued[-1] + 1,
            self._stepped[0] + 1,
            self.masters.there,
        )
        if step.command.stochastic:
            issued = max(issued, step.drawn + more * draw_cycles(self._config))
            step.drawn += self._slices * draw_cycles(self._config)
        step.taken = max(first + more, issued - TAKEN + 1 if more else first)
        self.masters.leave(issued)
        self._write(step, issued)
        step.issued.append(issued)
        step.remaining -= 1
        self.active += self._slices
        return step.taken

    def _write(self, step: _Pending, issued: float) -> None:
        """Write the words that a vector fills."""
        command, masters, vectors = step.command, self._config.masters, self._config.vector
        done = command.count - step.remaining
        last = step.remaining == 1
        if not done:
            turn = self._port.turn(STEP)
            self._free = max(self._free, issued + StepLane.stepped + QUEUE + turn)
        filled = issued + StepLane.stepped + QUEUE
        if self._slices > 1:
            filled = max(filled, self._regrouped + self._slices - 1)
        there = filled + self._timing.regrouping + (masters.words_per_item == 1)
        if last or (done + 1) % masters.items_per_word == 0:
            words = masters.words_per_item
            item = command.address + done // masters.items_per_word * words
            self._free = self._put(item, words, max(self._free, there)) + 1
        self._regrouped = self._free - 1
        self._stepped.append(filled if self._slices > 1 else max(there, self._free - 1))
        place = command.offset + done
        if last or (place + 1) % vectors.items_per_word == 0:
            there = issued + StepLane.latency + QUEUE + self._timing.regrouping + COALESCED
            item = command.operands + place // vectors.items_per_word
            self._operands = max(self._put(item, 1, there), self._operands)
            # Operands go first: what masters were to be written then is a cycle later.
            self._free += self._free > there

    def _put(self, address: int, words: int, first: float) -> float:
        """Write words from `first` on; return when the last one has left."""
        last = first + words - 1
        return last + self._port.store(address, words, first + QUEUE, last + QUEUE)[-1]

    def _finish(self, step: _Pending) -> None:
        """End the oldest step with the vector that was stepped last."""
        self._pending.popleft()
        self._last = step.issued[-1]
        self.stalled += self._last - step.begun - step.command.count * self._slices
        end = max(self._free - 1, self._operands)
        self._free = end + 1 + BETWEEN_WRITES
        end += QUEUE + ACCEPTED
        self.counted = self._last + StepLane.latency + 1 + Statistics.latency
        self.ended.append((step.command, end))
        if self._pending:
            following = self._pending[0]
            following.begun = max(following.accepted + QUEUE, self._last + 1)
