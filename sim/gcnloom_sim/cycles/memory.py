# SPDX-License-Identifier: Apache-2.0
"""Timelines of what touches device memory: fetching commands, loads, stores."""

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from math import ceil

from gcnloom_sim.cycles.flow import Flow
from gcnloom_sim.cycles.timing import (
    OUTSTANDING,
    QUEUE,
    READ_INTERVAL,
    RESTART,
    TRANSFERS,
    Timing,
)
from gcnloom_spec.commands import Load, Store

__all__ = ["Fetch", "LoadUnit", "StoreUnit", "Transfer"]


Arrival = Callable[[float], tuple[float, float]]


@dataclass(frozen=True)
class Transfer:
    """A load on the timeline: words asked for and taken, and when its last item is written."""

    accepted: float
    words: int
    first_ask: float
    last_ask: float
    first_take: float
    last_take: float
    turn: float
    end: float

    def held(self, time: float) -> float:
        """Return when the last word asked for by `time` is taken; long ago without one."""
        asked, taken = Flow(), Flow()
        asked.add(self.words, self.first_ask, self.last_ask)
        taken.add(self.words, self.first_take, self.last_take)
        return taken.time(asked.passed(time) - 1)


class LoadUnit:
    """Asks for one word after the other; writes the items of the words that come back.

    Words of the next loads are asked for while those of earlier ones arrive. The port lets a
    fetch go first, and hands answers out in order of asking: a fetch waits behind the words
    that were asked for before it.
    """

    def __init__(self, timing: Timing, latency: int) -> None:
        self._timing = timing
        self._latency = latency + QUEUE
        self._asked = Flow()
        self._taken = Flow()
        self._fetches: deque[float] = deque()
        self._port_free = 0.0
        self._ends: deque[float] = deque([0.0] * TRANSFERS, maxlen=TRANSFERS)
        self.active = 0.0
        self.stalled = 0.0

    def plan(self, command: Load, ready: float) -> Transfer:
        """Return how a load goes if no more words are fetched than are known of."""
        packing = self._timing.packing(command.target)
        words, count = packing.words(command.count), command.count
        accepted = max(ready, self._port_free, self._ends[0] + 1)
        first_ask, last_ask, before, between = self._ask(words, accepted + 1)
        turn = max(accepted + QUEUE, self._ends[-1] + 1)
        passed = self._taken.time(self._taken.count - 1) + before + 1
        first_take = max(first_ask + self._latency, turn, passed)
        if packing.words_per_item == 1:
            rest = count - (words - 1) * packing.items_per_word
            writing = count + between * self._timing.fetch_stall(packing)
            end = max(first_take + writing, last_ask + self._latency + rest)
            last_take = end - rest
        else:
            last_take = max(first_take + words - 1, last_ask + self._latency)
            end = last_take + 1
        early = words - 1 - OUTSTANDING
        if early >= 0:
            waited = first_take + (last_take - first_take) * early / (words - 1)
        else:
            waited = self._taken.time(self._taken.count + early)
        last_ask = max(last_ask, waited + 1)
        return Transfer(accepted, words, first_ask, last_ask, first_take, last_take, turn, end)

    def _ask(self, words: int, earliest: float) -> tuple[float, float, int, int]:
        """Return when the first and the last word are asked for, and the fetches in turn.

        These are the fetches before the first word and those between the first and the last.
        """
        first = max(earliest, self._taken.time(self._taken.count - OUTSTANDING) + 1)
        before = between = 0
        for fetch in self._fetches:
            if fetch > first + READ_INTERVAL * (words - 1 + between):
                break
            if fetch > first or between:
                between += 1
            else:
                before += 1
                first = max(first, fetch + READ_INTERVAL)
        return first, first + READ_INTERVAL * (words - 1 + between), before, between

    def run(self, command: Load, ready: float) -> float:
        """Execute; return when the last item was written."""
        transfer = self.plan(command, ready)
        while self._fetches and self._fetches[0] <= transfer.last_ask:
            self._fetches.popleft()
        self._taken.add(transfer.words, transfer.first_take, transfer.last_take)
        self._asked.add(transfer.words, transfer.first_ask, transfer.last_ask)
        self._port_free = transfer.last_ask + 1
        self._ends.append(transfer.end)
        self.active += command.count
        self.stalled += transfer.end - transfer.turn + 1 - command.count
        return transfer.end

    def fetch(self, asked: float, under_way: Transfer | None) -> tuple[float, float]:
        """Take the port's next turn from `asked` on; return it, and when the answer arrives."""
        recent = self._port_free - 1
        if under_way is not None and under_way.first_ask < asked:
            turns = ceil((asked - under_way.first_ask) / READ_INTERVAL)
            asked = under_way.first_ask + turns * READ_INTERVAL
        elif recent < asked:
            asked = max(asked, recent + READ_INTERVAL)
        held = self._taken.time(self._asked.passed(asked) - 1)
        if under_way is not None:
            held = max(held, under_way.held(asked))
        if asked < self._port_free:
            self._port_free += READ_INTERVAL
        else:
            self._fetches.append(asked)
        return asked, max(asked + self._latency, held + 1)


class Fetch:
    """Fetches commands as far ahead as there is room for their words, and deals them in order.

    Parameters
    ----------
    timing : Timing
    commands : int
        Commands of the program.
    arrival : callable
        When a word is asked for that is wanted at a time, and when it arrives. Times never
        decrease.
    """

    def __init__(self, timing: Timing, commands: int, arrival: Arrival) -> None:
        self._arrival = arrival
        packing = timing.command_packing
        self._words, self._shared = packing.words_per_item, packing.items_per_word
        self._unasked = packing.words(commands)
        self._arrived: deque[float] = deque()
        self._asked = -float(READ_INTERVAL)
        self._unpacked = 0
        self._offered = 0.0
        for _ in range(timing.fetch_depth):
            self._ask(0.0)

    def deal(self, room: float) -> float:
        """Return when the next command enters its unit's queue, which has room from `room` on."""
        self._offered = max(self._offered, room)
        return self._offered

    def unpack(self) -> None:
        """Take the words of the next command, which makes room for others."""
        if not self._unpacked:
            left = self._offered
            for part in range(min(self._words, len(self._arrived))):
                left = max(self._arrived.popleft() + QUEUE, left + (part > 0))
                self._ask(left + 1)
            self._offered = left
            self._unpacked = self._shared
        self._offered += 1
        self._unpacked -= 1

    def _ask(self, earliest: float) -> None:
        """Ask for one more word, if there is one."""
        if self._unasked:
            self._unasked -= 1
            wanted = max(self._asked + READ_INTERVAL, earliest)
            self._asked, arrived = self._arrival(wanted)
            self._arrived.append(max(arrived, self._arrived[-1] + 1 if self._arrived else 0.0))


@dataclass
class _Pending:
    """A store that still waits for vectors."""

    command: Store
    ready: float
    remaining: int
    taken: float = 0.0


class StoreUnit:
    """Takes vectors for the oldest store; packs and writes them."""

    def __init__(self, timing: Timing) -> None:
        self._timing = timing
        self._pending: list[_Pending] = []
        self._free = 0.0
        self.active = 0.0
        self.stalled = 0.0

    def expect(self, command: Store, ready: float) -> None:
        """Queue a store; the command that emits to it comes later in the program."""
        self._pending.append(_Pending(command, ready, command.count))

    def take(
        self, source: int, count: int, first: float, last: float
    ) -> tuple[float, float, list[tuple[Store, float]]]:
        """Take vectors that arrive from `first` to `last`.

        Returns when the first and the last were taken, and the stores that ended, with when.
        """
        step = (last - first) / max(count - 1, 1)
        done, ended = 0, []
        first_taken = last_taken = 0.0
        while done < count:
            store = self._next(source)
            packing = self._timing.stored(store.command.raw)
            words = packing.words_per_item
            some = min(count - done, store.remaining)
            if store.remaining == store.command.count:
                store.ready = max(store.ready, self._free) + 1
                store.taken = store.ready - words
            begin = max(first + done * step, store.taken + words)
            taking = self._timing.taking(some, packing)
            last_taken = max(begin + taking, first + (done + some - 1) * step)
            first_taken = first_taken if done else begin
            done += some
            store.remaining -= some
            store.taken = last_taken
            if not store.remaining:
                ended.append((store.command, self._finish(store, words)))
        return first_taken, last_taken, ended

    def _next(self, source: int) -> _Pending:
        for store in self._pending:
            if store.command.source == source:
                return store
        raise ValueError(
            f"source {source} emits vectors that no store before it takes; "
            "put the store before the command that emits to it"
        )

    def _finish(self, store: _Pending, words: int) -> float:
        end = store.taken + words
        self._pending.remove(store)
        self._free = end + RESTART - 1
        self.active += store.command.count
        self.stalled += end - store.ready + 1 - store.command.count
        return end
