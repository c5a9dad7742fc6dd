# SPDX-License-Identifier: Apache-2.0
"""Memory models clock by clock: what a controller may do in a clock, and what it then does."""

from collections import deque
from dataclasses import dataclass

from gcnloom_hw.memory.tiered import TieredMemory
from gcnloom_sim.memory import QUEUE, Bus, Dram, Tiered

__all__ = ["serve", "slow"]


@dataclass(kw_only=True)
class Request:
    """A word to read or write."""

    address: int
    write: bool
    accepted: int = -1
    due: int = -1
    left: int = -1
    bytes: int = 0


class SlowMemory:
    """Holds a few requests, which leave in their order."""

    def __init__(self, model, word_bytes):
        self.model, self.word_bytes = model, word_bytes
        self.queue, self.held = deque(), []
        self.last, self.streak = False, 0

    def accepts(self, clock, asks):
        """Whether a read and a write are accepted, of which some ask."""
        self.held = [each for each in self.held if each.left < 0 or each.left >= clock]
        room = QUEUE - len(self.held)
        asks = [each is not None for each in asks]
        if not room:
            return False, False
        return self.choose(room) if all(asks) else asks

    def take(self, request, clock):
        """Accept a request."""
        request.accepted = clock
        self.held.append(request)
        self.queue.append(request)
        self.streak = self.streak + 1 if self.last == request.write else 1
        self.last = request.write


class SlowBus(SlowMemory):
    """Moves bytes of the oldest request, then of the next, so many a clock."""

    def choose(self, room):
        """Whether a read and a write that both ask are accepted."""
        return (True, True) if room > 1 else (self.last, not self.last)

    def step(self, clock):
        """Move bytes."""
        left = self.model.bytes_per_cycle
        for request in list(self.queue):
            if not left:
                break
            request.left = clock if request.left < 0 else request.left
            some = min(left, self.word_bytes - request.bytes)
            request.bytes += some
            left -= some
            if request.bytes == self.word_bytes:
                request.due = clock + self.model.latency
                self.queue.popleft()


@dataclass
class Bank:
    """When its last commands were; None is never."""

    row: int | None = None
    opened: int = -(10**9)
    closed: int = -(10**9)
    read_burst: int = -(10**9)
    written: int = -(10**9)


class SlowDram(SlowMemory):
    """Issues a command in a clock if every rule of the data sheet allows it."""

    def __init__(self, model, word_bytes):
        super().__init__(model, word_bytes)
        self.banks = [Bank() for _ in range(self.model.banks)]
        self.serving = None
        self.bursts = 0
        self.refreshing = False
        self.due = self.model.refresh_interval
        self.resting = 0
        self.last_read = self.last_written = -(10**9)
        self.least = max(self.word_bytes, self.model.least_burst)
        self.clocks = -(-min(self.least, self.model.most_burst) // self.model.bytes_per_clock)

    def choose(self, _):
        """One direction for so many turns, then the other."""
        write = self.last if self.streak < self.model.turn else not self.last
        return not write, write

    def step(self, clock):
        """Issue at most one command."""
        if clock < self.resting:
            return
        if self.serving is None and not self.refreshing:
            if clock >= self.due:
                self.refreshing = True
            elif self.queue and clock >= self.queue[0].accepted + self.model.request:
                self.serving, self.bursts = self.queue.popleft(), 0
        if self.refreshing:
            self.refresh(clock)
        elif self.serving is not None:
            self.serve(clock, self.serving)

    def refresh(self, clock):
        """Close all rows, then refresh."""
        model = self.model
        open_banks = [bank for bank in self.banks if bank.row is not None]
        if open_banks:
            if all(self.may_close(bank, clock) for bank in open_banks):
                for bank in open_banks:
                    bank.row, bank.closed = None, clock
        elif all(clock >= bank.closed + model.precharge for bank in self.banks):
            self.resting = clock + model.refresh
            self.refreshing = False
            self.due += model.refresh_interval

    def may_close(self, bank, clock):
        """Whether the bank's row may be closed."""
        return (
            clock >= bank.opened + self.model.active
            and clock >= bank.read_burst + self.clocks
            and clock >= bank.written + self.model.write_recovery
        )

    def serve(self, clock, request):
        """Issue what the request needs next."""
        model = self.model
        index, column = divmod(request.address * self.word_bytes, model.row_bytes)
        assert column + self.word_bytes <= model.row_bytes
        row, number = divmod(index, model.banks)
        bank = self.banks[number]
        if bank.row not in (None, row):
            if self.may_close(bank, clock):
                bank.row, bank.closed = None, clock
        elif bank.row is None:
            if clock >= bank.closed + model.precharge:
                bank.row, bank.opened = row, clock
        elif clock >= bank.opened + model.activate and self.may_move(clock, request.write):
            self.move(clock, bank, request)

    def may_move(self, clock, write):
        """Whether a burst's data would be in nobody's way."""
        model = self.model
        first = clock + (model.write if write else model.read)
        if first <= max(self.last_read, self.last_written):
            return False
        if write:
            return first >= self.last_read + model.read_to_write or not self.last_was_read()
        return clock >= self.last_written + model.write_to_read or self.last_was_read()

    def last_was_read(self):
        return self.last_read > self.last_written

    def move(self, clock, bank, request):
        """Read or write a burst."""
        model = self.model
        last = clock + (model.write if request.write else model.read) + self.clocks - 1
        if request.write:
            self.last_written = bank.written = last
        else:
            self.last_read, bank.read_burst = last, clock
        self.bursts += 1
        if self.bursts * model.most_burst >= self.least:
            request.left, request.due = clock, last + model.answer
            self.serving = None


class SlowTiers:
    """Hands out the oldest answer once it is there, wherever it comes from, one a clock."""

    def __init__(self, model, word_bytes):
        self.far = slow(model.far, word_bytes)
        self.near_words = model.near_kilobytes * 1024 // word_bytes
        self.order = deque()

    def near(self, address):
        return address is not None and address < self.near_words

    def accepts(self, clock, asks):
        """Whether a read and a write are accepted, of which some ask."""
        accepted = list(self.far.accepts(clock, [None if self.near(at) else at for at in asks]))
        waiting = sum(near for _, near in self.order)
        for way, free in enumerate((waiting < TieredMemory.near_reads, True)):
            if self.near(asks[way]):
                accepted[way] = free
        return accepted

    def take(self, request, clock):
        """Let a tier accept a request, or be done with it."""
        near = self.near(request.address)
        inner = Request(address=request.address, write=request.write)
        request.accepted = clock
        if near:
            inner.due = clock + TieredMemory.latency
        else:
            self.far.take(inner, clock)
        if request.write:
            request.due = clock
        else:
            self.order.append(((request, inner), near))

    def step(self, clock):
        """Move what the far tier moves; answer."""
        self.far.step(clock)
        if self.order:
            request, inner = self.order[0][0]
            if 0 <= inner.due <= clock:
                request.due = clock
                self.order.popleft()


def slow(model, word_bytes):
    """Build the reference of a model."""
    kinds = {Bus: SlowBus, Dram: SlowDram, Tiered: SlowTiers}
    return kinds[type(model)](model, word_bytes)


def serve(memory, reads, writes):
    """Serve streams of (asked, address); return the requests."""
    streams = [
        [(asked, Request(address=address, write=write)) for asked, address in stream]
        for write, stream in ((False, reads), (True, writes))
    ]
    waiting = [deque(stream) for stream in streams]
    every = [request for stream in streams for _, request in stream]
    clock = 0
    while any(request.due < 0 for request in every):
        asks = [
            stream[0][1].address if stream and stream[0][0] <= clock else None for stream in waiting
        ]
        accepts = memory.accepts(clock, asks)
        for way in (1, 0):
            if asks[way] is not None and accepts[way]:
                memory.take(waiting[way].popleft()[1], clock)
        memory.step(clock)
        clock += 1
    return every
