# SPDX-License-Identifier: Apache-2.0
"""Timeline of the update unit: losses, steps and scales, dealt one after the other."""

from collections.abc import Iterator, Sequence
from math import ceil, inf

from gcnloom_sim.cycles.flow import NEVER
from gcnloom_sim.cycles.loss import LossUnit
from gcnloom_sim.cycles.reading import LOSS, STEP, Port
from gcnloom_sim.cycles.step import StepUnit
from gcnloom_sim.cycles.timing import CLEARING, HELD, Timing
from gcnloom_spec.commands import Loss, Scale, Step

__all__ = ["UpdateUnit"]

LOOK_UP = 4
"""Cycles that looking up two shifts takes."""
SETTLED = 2
"""Cycles in which a scale still moves: that of its writing and the next."""
SEEN = 2
"""Cycles from an engine's last to the first in which commands of another kind begin."""

Update = Loss | Step | Scale


class UpdateUnit:
    """Holds one command, looks its shifts up, hands it to its engine when the others are idle.

    Parameters
    ----------
    timing : Timing
    port : Port
    clearing : bool
        Whether the statistics are zeroed first, for which commands wait.

    Attributes
    ----------
    steps : StepUnit
    end : float
        When the last movement was that no token tells of.
    """

    def __init__(self, timing: Timing, port: Port, *, clearing: bool) -> None:
        self._timing, self._port = timing, port
        self._loss, self.steps = LossUnit(timing, port), StepUnit(timing, port)
        self._held: Update | None = None
        self._offered = 0.0
        self._free = float(CLEARING) if clearing else 0.0
        self._loss_idle = self._step_idle = NEVER
        self._scaled = 0.0
        self.end = 0.0

    @property
    def free(self) -> bool:
        """Whether a command can be accepted, now or at a time that is known."""
        return self._held is None

    @property
    def idle(self) -> bool:
        """Whether nothing is inside whose end is not known."""
        return self._held is None and not self._loss.busy and not self.steps.busy

    @property
    def active(self) -> float:
        """Cycles in which something moved; looking up and stepping at a time count twice."""
        return self._loss.active + self.steps.active + self._scaled

    @property
    def stalled(self) -> float:
        """Cycles in which losses or steps were inside and did not move."""
        return self._loss.stalled + self.steps.stalled

    def begin(self, command: Update, ready: float) -> float:
        """Accept a command that is offered from `ready` on; return when it was accepted."""
        accepted = max(ready, self._free)
        self._held = command
        self._offered = accepted + HELD + (0 if isinstance(command, Scale) else LOOK_UP)
        return accepted

    def takes(self) -> bool:
        """Whether the word of a loss that has come is taken in this cycle."""
        return self._loss.takes()

    def step(
        self, now: int, *, answer: int | None, room: Sequence[bool]
    ) -> tuple[list[tuple[Update, float]], bool]:
        """Execute one cycle.

        `answer` is the client whose word comes, `room` says by client whether a word can be asked
        for. Returns commands that end, and when; and whether anything moved.
        """
        ended, moved = self._hand_on(now)
        wants, end = self._loss.step(now, arrives=answer == LOSS, room=room[LOSS])
        if end is not None:
            self._loss_idle = end
            self.end = max(self.end, self._loss.counted)
            ended.append((self._loss.command, end))
        reads = self.steps.masters.step(now, arrives=answer == STEP, room=room[STEP])
        self._port.waiting[LOSS] += wants
        self._port.waiting[STEP] += reads
        for step, stepped in self.steps.ended:
            self._step_idle = stepped
            self.end = max(self.end, self.steps.counted)
            ended.append((step, stepped))
        self.steps.ended.clear()
        return ended, bool(moved or wants or reads or ended)

    def _hand_on(self, now: int) -> tuple[list[tuple[Update, float]], bool]:
        """Hand the command on if its turn has come; return it if it ends at a time known now."""
        command = self._held
        if command is None or now < self._turn(command, now):
            return [], False
        self._held, self._free = None, now + 1
        match command:
            case Loss():
                self._scaled += LOOK_UP
                self._loss.begin(command, now)
            case Step():
                self._scaled += LOOK_UP
                self.steps.accept(command, now)
            case Scale():
                written = now + self._timing.scale(command)
                self._scaled += written - now + SETTLED
                self._free = written + 1
                self.end = max(self.end, written + SETTLED - 1)
                return [(command, float(written))], True
        return [], True

    def _turn(self, command: Update, now: int) -> float:
        """Return when a command can be handed on; never as long as that is not known."""
        loss = inf if self._loss.busy else self._loss_idle
        step = inf if self.steps.busy else self._step_idle
        match command:
            case Loss():
                others = max(loss + 1, step + SEEN)
            case Step():
                others = max(loss + SEEN, now if self.steps.room(now) else inf)
            case Scale():
                others = max(loss, step) + SEEN
        return max(self._offered, others)

    def events(self, now: int) -> Iterator[int]:
        """Yield when something will happen here, as far as that is known."""
        if self._held is not None:
            turn = self._turn(self._held, now)
            if turn < inf:
                yield max(ceil(turn), now + 1)
            yield from self.steps.events(now)
        yield from self._loss.events(now)
        yield from self.steps.masters.events(now)
