# SPDX-License-Identifier: Apache-2.0
"""What passes between the units of the model: dependence tokens, and vectors to store."""

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, TypeVar

import numpy as np
from numpy.typing import NDArray

from gcnloom.errors import ProgramError
from gcnloom_spec.commands import Command, Step, Store
from gcnloom_spec.isa import Source, Unit

__all__ = ["Tokens", "Waiting"]

Taker = TypeVar("Taker", Store, Step)


class Tokens:
    """Tokens every ordered pair of units holds."""

    def __init__(self) -> None:
        self._held = np.zeros((len(Unit), len(Unit)), dtype=np.int64)

    def wait(self, command: Command) -> None:
        """Take the tokens a command waits for; in program order they must be there."""
        for giver in Unit:
            if command.waits >> giver & 1:
                if not self._held[giver, command.unit]:
                    raise ProgramError(
                        f"no earlier command of {giver.name.lower()} left the token it waits "
                        "for; try dependence.insert_tokens"
                    )
                self._held[giver, command.unit] -= 1

    def signal(self, command: Command) -> None:
        """Leave the tokens of a command that is complete."""
        for taker in Unit:
            if command.signals >> taker & 1:
                self._held[command.unit, taker] += 1

    def check_empty(self) -> None:
        """Raise if the program ends with tokens that nobody took."""
        for giver, taker in np.argwhere(self._held).tolist():
            raise ProgramError(
                f"the program ends with {self._held[giver, taker]} tokens from "
                f"{Unit(giver).name.lower()} to {Unit(taker).name.lower()} left over; "
                "try dependence.insert_tokens"
            )


@dataclass
class _Pending(Generic[Taker]):
    index: int
    command: Taker
    done: int = 0


class Waiting(Generic[Taker]):
    """Stores, or steps, that wait for vectors, oldest first.

    Their unit takes one command after the other, so vectors that come before it has reached
    their command would block their engine: emissions must come in the order of what takes them.

    Parameters
    ----------
    name : str
        What they are.
    write : Callable
        Called with a command, the index of an item in it, and vectors from there on.
    complete : Callable
        Called with a command whose last vector was taken.
    """

    def __init__(
        self,
        name: str,
        write: Callable[[Taker, int, NDArray[np.int64]], None],
        complete: Callable[[Taker], None],
    ) -> None:
        self._name = name
        self._pending: deque[_Pending[Taker]] = deque()
        self._write: Callable[[Taker, int, NDArray[np.int64]], None] = write
        self._complete: Callable[[Taker], None] = complete

    def expect(self, index: int, command: Taker) -> None:
        """Start a command."""
        self._pending.append(_Pending(index, command))

    def take(self, source: Source, vectors: NDArray[np.int64], *, raw: int) -> None:
        """Hand vectors to the commands that wait."""
        while len(vectors):
            name = source.name.lower()
            if not self._pending:
                raise ProgramError(
                    f"{len(vectors)} vectors of {name} find no {self._name}; "
                    f"try a {self._name} before this"
                )
            oldest = self._pending[0]
            expected = getattr(oldest.command, "raw", 1)
            if (oldest.command.source, expected) != (source, raw):
                raise ProgramError(
                    f"vectors of {name} (raw={raw}) come before {self._name} {oldest.index} has "
                    f"its own (source={oldest.command.source}, raw={expected}); "
                    f"try {self._name}s in the order of the commands that emit to them"
                )
            part = vectors[: oldest.command.count - oldest.done]
            self._write(oldest.command, oldest.done, part)
            oldest.done += len(part)
            vectors = vectors[len(part) :]
            if oldest.done == oldest.command.count:
                self._pending.popleft()
                self._complete(oldest.command)

    def check_empty(self) -> None:
        """Raise if the program ends while one still waits."""
        if self._pending:
            oldest = self._pending[0]
            raise ProgramError(
                f"command {oldest.index} ({self._name}) has got {oldest.done} of "
                f"{oldest.command.count} vectors when the program ends; "
                "try a count that matches what is emitted"
            )
