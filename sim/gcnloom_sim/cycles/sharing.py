# SPDX-License-Identifier: Apache-2.0
"""The memory port where reads and writes share the memory behind it."""

from collections import deque
from collections.abc import Iterable, Iterator
from copy import deepcopy
from heapq import heappop, heappush
from itertools import chain
from math import ceil

from gcnloom.programs.access import DEVICE, accesses_of
from gcnloom_sim.cycles.memory import Clock, clock
from gcnloom_sim.cycles.reading import FETCH, Port
from gcnloom_sim.cycles.timing import OUTSTANDING, PENDING, QUEUE, Timing
from gcnloom_sim.memory import Bus, Memory
from gcnloom_spec.commands import Command

__all__ = ["SharedPort", "memory_port"]

_Write = tuple[float, int, int]
"""When a word asks to be written, its number, its address."""


class SharedPort(Port):
    """Grants words as :class:`Port` does, and asks a memory for them that has a queue.

    Words of stores ask from when they would be there if nobody held the store unit up. How late
    they are taken is rehearsed when the store is timed, with the reads that are known by then.

    Parameters
    ----------
    memory : Clock
    program : int
        Where the program lies.
    """

    def __init__(self, memory: Clock, program: int) -> None:
        super().__init__(0)
        self._memory = memory
        self._next = program
        self._ranges: list[deque[tuple[int, int]]] = [deque() for _ in self.waiting]
        self._clients: deque[int] = deque()
        self._asked: deque[tuple[int, int]] = deque()
        self._due: deque[int] = deque()
        self._writes: list[_Write] = []
        self._stored = 0
        self._now = 0

    def expect(self, client: int, address: int, words: int) -> None:
        """Say where the next words lie that a client asks for."""
        if words:
            self._ranges[client].append((address, words))

    def store(self, address: int, words: int, first: float, last: float) -> list[float]:
        """Write words that are there from `first` to `last`; return how late each is taken."""
        step, serial = (last - first) / max(words - 1, 1), self._stored
        for index in range(words):
            heappush(self._writes, (first + index * step, serial + index, address + index))
        self._stored += words
        self.writing = len(self._writes)
        return [
            float(now - ceil(asked))
            for now, (asked, which, _) in self._rehearse()
            if which >= serial
        ]

    def _rehearse(self) -> Iterator[tuple[int, _Write]]:
        """Yield when each word that stores have would be taken, if no more reads come."""
        memory, now = deepcopy(self._memory), self._now
        reads = deque(address for _, address in self._asked)
        for address, words in chain(*self._ranges):
            reads.extend(range(address, address + words))
        for write in sorted(self._writes):
            taken = False
            while not taken:
                asking = write[2] if write[0] <= now else None
                reading = reads[0] if reads else None
                read, taken = memory.ready(now, read=reading, write=asking)
                if taken:
                    memory.accept(now, write[2], write=True)
                    yield now, write
                if read:
                    memory.accept(now, reads.popleft(), write=False)
                now += 1
                if not (read or taken):
                    asked = [place for place in (reading, asking) if place is not None]
                    rooms = [memory.room_at(place) for place in asked]
                    now = max(now, min(rooms, default=ceil(write[0])))

    def answer(self, now: int) -> int | None:
        """Return the client whose word has come, if there is one."""
        return self._clients[0] if self._due and self._due[0] <= now else None

    def events(self, now: int) -> Iterator[int]:
        """Yield when something will happen here."""
        if self._due and self._due[0] > now:
            yield self._due[0]
        if self._writes:
            asks, _, address = self._writes[0]
            yield max(ceil(asks), self._memory.room_at(address), now + 1)
        if self._asked:
            asked, address = self._asked[0]
            yield max(asked + QUEUE, self._memory.room_at(address), now + 1)

    def step(self, now: int, *, take: bool) -> bool:
        """Hand out the answer if it is taken; ask the memory; grant a word."""
        self._now = now
        room = len(self._clients) < OUTSTANDING and len(self._asked) < PENDING
        if take:
            self._clients.popleft()
            self._due.popleft()
        moved = self._ask(now) or take
        for client, waiting in enumerate(self.waiting):
            if room and waiting:
                self.waiting[client] -= 1
                self._clients.append(client)
                self._asked.append((now, self._address(client)))
                return True
        return moved

    def _ask(self, now: int) -> bool:
        """Offer the memory the oldest word to read and to write; return whether it took one."""
        read = self._asked[0] if self._asked and self._asked[0][0] + QUEUE <= now else None
        write = self._writes[0] if self._writes and self._writes[0][0] <= now else None
        reads, writes = self._memory.ready(now, read=read and read[1], write=write and write[2])
        if writes:
            self._memory.accept(now, heappop(self._writes)[2], write=True)
            self.written, self.writing = now, len(self._writes)
        if reads:
            self._due.append(self._memory.accept(now, self._asked.popleft()[1], write=False))
        return reads or writes

    def _address(self, client: int) -> int:
        """Return where the client's next word lies."""
        if client == FETCH:
            self._next += 1
            return self._next - 1
        address, words = self._ranges[client].popleft()
        if words > 1:
            self._ranges[client].appendleft((address + 1, words - 1))
        return address


def memory_port(
    memory: Memory, timing: Timing, commands: Iterable[Command], address: int | None = None
) -> Port:
    """Build the port of a memory.

    Parameters
    ----------
    memory : Memory
    timing : Timing
    commands : iterable of Command
        The program.
    address : int, optional
        Where it lies; behind all that its commands reach.
    """
    if isinstance(memory, Bus) and memory.bytes_per_cycle is None:
        return Port(memory.latency)
    if address is None:
        reached = (
            access.high
            for command in commands
            for access in accesses_of(command, timing.config)
            if access.space == DEVICE
        )
        address = max(reached, default=0)
    return SharedPort(clock(memory, timing.config.memory_bytes), address)
