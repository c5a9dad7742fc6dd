# SPDX-License-Identifier: Apache-2.0
"""Tokens that keep every conflicting pair of commands in program order."""

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from gcnloom.errors import ProgramError
from gcnloom.programs.access import Access, accesses_of
from gcnloom.programs.steps import steps
from gcnloom_spec.commands import Command
from gcnloom_spec.isa import Unit

__all__ = ["MOST_TOKENS", "Access", "accesses_of", "insert_tokens"]

MOST_TOKENS = 200
"""Tokens a channel holds at most in program order; units run ahead, and counters stop at 255."""
UNITS = len(Unit)
NEVER = -1

Pair = tuple[int, int]
"""The command that signals and the later one that waits."""


def insert_tokens(
    commands: Sequence[Command],
    accesses: Sequence[Sequence[Access]],
    *,
    serial: bool = False,
) -> list[Command]:
    """Set `waits` and `signals` so that conflicting accesses happen in program order.

    Two accesses conflict if they touch the same item of the same memory and one of them writes.
    A unit reads and writes in order by itself, but what it emits on chip arrives later: a
    command that reads such a result waits for its own unit. Otherwise it waits at most for the
    latest conflicting command of each unit, and not at all where an earlier wait already covers
    it, directly or through a third unit. What a command waited or signalled before is replaced.

    Parameters
    ----------
    commands : sequence of Command
        In program order.
    accesses : sequence of sequence of Access
        What each command reads and writes; see :func:`accesses_of`.
    serial : bool
        Let each command wait until all effects of the one before it are visible, as on a machine
        whose units take turns. A store and the commands that emit to it count as one.
    """
    if len(commands) != len(accesses):
        raise ProgramError(
            f"{len(accesses)} lists of accesses for {len(commands)} commands; "
            "try one list for each command"
        )
    units = [int(command.unit) for command in commands]
    before = _steps_before(commands, units) if serial else [[]] * len(commands)
    waits, signals = [0] * len(commands), [0] * len(commands)
    for (giver, taker), pairs in _order(units, accesses, before).items():
        for signalling, waiting in _limit(pairs):
            signals[signalling] |= 1 << taker
            waits[waiting] |= 1 << giver
    return [
        replace(command, waits=wait, signals=signal)
        for command, wait, signal in zip(commands, waits, signals, strict=True)
    ]


@dataclass(frozen=True)
class _History:
    """Latest command of each unit that touched each segment of one memory.

    A segment is a run of items that no access tells apart.
    """

    bounds: NDArray[np.int64]
    writers: NDArray[np.int64]
    users: NDArray[np.int64]

    @classmethod
    def of(cls, edges: Sequence[int]) -> "_History":
        bounds = np.unique(np.array(edges, dtype=np.int64))
        shape = (UNITS, max(1, len(bounds)))
        return cls(bounds, np.full(shape, NEVER), np.full(shape, NEVER))

    def latest(self, part: slice, *, write: bool) -> list[int]:
        """Latest command of each unit that a new access to `part` conflicts with."""
        table = self.users if write else self.writers
        if part.stop == part.start:
            return [NEVER] * UNITS
        if part.stop - part.start == 1:
            latest: list[int] = table[:, part.start].tolist()
        else:
            latest = table[:, part].max(axis=1).tolist()
        return latest

    def record(self, part: slice, unit: int, index: int, *, write: bool) -> None:
        """Note that command `index` of `unit` touches `part`."""
        self.users[unit, part] = index
        if write:
            self.writers[unit, part] = index


def _steps_before(commands: Sequence[Command], units: Sequence[int]) -> list[list[int]]:
    """Last command of each unit in the step before that of each command."""
    before: list[list[int]] = []
    last: list[int] = []
    for step in steps(commands):
        before += [last] * len(step)
        last = list({units[index]: index for index in step}.values())
    return before


def _order(
    units: Sequence[int],
    accesses: Sequence[Sequence[Access]],
    before: Sequence[Sequence[int]],
) -> dict[tuple[int, int], list[Pair]]:
    """Pairs of commands to order, by (signalling unit, waiting unit), in program order.

    `before` are commands that each has to wait for whatever it touches.
    """
    histories, parts = _segments(accesses)
    pairs: dict[tuple[int, int], list[Pair]] = {}
    # known[u][v]: latest command of v that is complete whenever unit u starts its next command.
    known = [[NEVER] * UNITS for _ in range(UNITS)]
    at_start: list[list[int]] = []
    for index, (unit, touched) in enumerate(zip(units, accesses, strict=True)):
        needed = [NEVER] * UNITS
        for access, part in zip(touched, parts[index], strict=True):
            latest = histories[access.space].latest(part, write=access.write)
            if access.write:
                # Writes of one unit, and a write after its own reads, are in order by themselves.
                latest[unit] = NEVER
            needed = [max(old, new) for old, new in zip(needed, latest, strict=True)]
        for earlier in before[index]:
            needed[units[earlier]] = max(needed[units[earlier]], earlier)
        for other in sorted(range(UNITS), key=needed.__getitem__, reverse=True):
            if needed[other] > known[unit][other]:
                pairs.setdefault((other, unit), []).append((needed[other], index))
                complete = at_start[needed[other]].copy()
                complete[other] = needed[other]
                known[unit] = [max(a, b) for a, b in zip(known[unit], complete, strict=True)]
        at_start.append(known[unit].copy())
        for access, part in zip(touched, parts[index], strict=True):
            histories[access.space].record(part, unit, index, write=access.write)
    return pairs


def _segments(
    accesses: Sequence[Sequence[Access]],
) -> tuple[dict[str, _History], list[list[slice]]]:
    """Cut each memory where accesses begin or end; say which segments each access covers."""
    edges: dict[str, list[int]] = {}
    for touched in accesses:
        for access in touched:
            edges.setdefault(access.space, []).extend((access.low, access.high))
    histories = {space: _History.of(ends) for space, ends in edges.items()}
    places = {
        space: iter(np.searchsorted(histories[space].bounds, ends).tolist())
        for space, ends in edges.items()
    }
    parts = [
        [slice(next(places[access.space]), next(places[access.space])) for access in touched]
        for touched in accesses
    ]
    return histories, parts


def _limit(pairs: Sequence[Pair]) -> list[Pair]:
    """Merge pairs so that no channel ever holds more than :data:`MOST_TOKENS` tokens.

    Where it would, the oldest waiting command waits for the second-oldest signal instead of
    its own: a later signal of the same unit implies every earlier one.
    """
    kept: list[Pair] = []
    held: deque[Pair] = deque()
    for pair in pairs:
        while held and held[0][1] < pair[0]:
            kept.append(held.popleft())
        if len(held) == MOST_TOKENS:
            _, waiting = held.popleft()
            signalling, _ = held.popleft()
            held.appendleft((signalling, waiting))
        held.append(pair)
    return [*kept, *held]
