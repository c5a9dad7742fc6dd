# SPDX-License-Identifier: Apache-2.0
"""When a memory model accepts and answers requests: ``memory.h`` for the cycle prediction."""

from abc import ABC, abstractmethod
from collections import deque
from dataclasses import dataclass

from gcnloom_hw.memory.tiered import TieredMemory
from gcnloom_sim.memory import QUEUE, Dram, Memory, Tiered

__all__ = ["BusClock", "Clock", "DramClock", "SingleClock", "TieredClock", "clock"]


class Clock(ABC):
    """When a memory accepts and answers requests; each is timed when it is accepted."""

    @abstractmethod
    def ready(self, now: int, *, read: int | None, write: int | None) -> tuple[bool, bool]:
        """Return whether a read and a write would be accepted, given the words they ask for."""

    @abstractmethod
    def room_at(self, address: int) -> int:
        """When there next is room for one more request for a word than now."""

    @abstractmethod
    def accept(self, now: int, address: int, *, write: bool) -> int:
        """Accept a request for a word; return when a read's answer is there."""


class SingleClock(Clock):
    """A memory's queue of requests, served in order."""

    def __init__(self) -> None:
        self._leaving: deque[int] = deque()
        self._wrote = False
        self._turns = 0

    def ready(self, now: int, *, read: int | None, write: int | None) -> tuple[bool, bool]:
        """Return whether a read and a write would be accepted, given the words they ask for."""
        while self._leaving and self._leaving[0] < now:
            self._leaving.popleft()
        room = QUEUE - len(self._leaving)
        if not room:
            return False, False
        asks = read is not None, write is not None
        return self._choose(room) if all(asks) else asks

    def room_at(self, address: int) -> int:
        """When the queue next has room for one more request than now, for whatever word."""
        return self._leaving[0] + 1 if self._leaving else 0

    def accept(self, now: int, address: int, *, write: bool) -> int:
        """Accept a request for a word; return when a read's answer is there."""
        self._turns = self._turns + 1 if write == self._wrote else 1
        due, leaves = self._serve(now, address, write)
        self._wrote = write
        self._leaving.append(leaves)
        return due

    @abstractmethod
    def _choose(self, room: int) -> tuple[bool, bool]:
        """Return whether a read and a write are accepted, if both ask."""

    @abstractmethod
    def _serve(self, now: int, address: int, write: bool) -> tuple[int, int]:
        """Return when the request is done, and when it leaves the queue."""


class BusClock(SingleClock):
    """Times of a :class:`~gcnloom_sim.memory.Bus` with a limit.

    Parameters
    ----------
    bytes_per_cycle, latency : int
    word_bytes : int
    """

    def __init__(self, bytes_per_cycle: int, latency: int, word_bytes: int) -> None:
        super().__init__()
        self._rate, self._latency, self._word = bytes_per_cycle, latency, word_bytes
        self._free = 0

    def _choose(self, room: int) -> tuple[bool, bool]:
        return (True, True) if room > 1 else (self._wrote, not self._wrote)

    def _serve(self, now: int, address: int, write: bool) -> tuple[int, int]:
        begin = max(self._free, now * self._rate)
        self._free = begin + self._word
        return (self._free - 1) // self._rate + self._latency, begin // self._rate


@dataclass
class _Bank:
    """The open row of a bank, None if there is none, and when it may be closed."""

    row: int | None = None
    closable: int = 0


class DramClock(SingleClock):
    """Times of a :class:`~gcnloom_sim.memory.Dram`.

    Parameters
    ----------
    dram : Dram
    word_bytes : int
    """

    def __init__(self, dram: Dram, word_bytes: int) -> None:
        super().__init__()
        self._dram, self._word_bytes = dram, word_bytes
        moved = max(word_bytes, dram.least_burst)
        self._word = -(-moved // dram.bytes_per_clock)
        self._burst = -(-min(moved, dram.most_burst) // dram.bytes_per_clock)
        self._banks = [_Bank() for _ in range(dram.banks)]
        self._command = self._bus = 0
        self._refresh_due = dram.refresh_interval

    def _choose(self, room: int) -> tuple[bool, bool]:
        write = self._wrote if self._turns < self._dram.turn else not self._wrote
        return not write, write

    def _serve(self, now: int, address: int, write: bool) -> tuple[int, int]:
        dram = self._dram
        while self._refresh_due <= max(now + dram.request, self._command):
            self._refresh()
        row = address * self._word_bytes // dram.row_bytes
        bank = self._banks[row % dram.banks]
        column = max(now + dram.request, self._command)
        if bank.row != row:
            if bank.row is not None:
                column = max(column, bank.closable) + dram.precharge
            bank.row, bank.closable = row, column + dram.active
            column += dram.activate
        delay = dram.write if write else dram.read
        begin = max(column + delay, self._bus)
        if write and not self._wrote and self._bus:
            begin = max(begin, self._bus - 1 + dram.read_to_write)
        if self._wrote and not write:
            begin = max(begin, self._bus - 1 + dram.write_to_read + delay)
        self._bus = begin + self._word
        last = self._bus - delay - self._burst
        settled = self._bus - 1 + dram.write_recovery if write else last + self._burst
        bank.closable = max(bank.closable, settled)
        self._command = last + 1
        return self._bus - 1 + dram.answer, last

    def _refresh(self) -> None:
        dram = self._dram
        opened = [bank for bank in self._banks if bank.row is not None]
        closing = max([self._refresh_due, self._command, *(bank.closable for bank in opened)])
        for bank in opened:
            bank.row = None
        self._command = closing + (dram.precharge if opened else 0) + dram.refresh
        self._refresh_due += dram.refresh_interval


class TieredClock(Clock):
    """Times of a :class:`~gcnloom_sim.memory.Tiered`.

    Parameters
    ----------
    tiers : Tiered
    word_bytes : int
    """

    def __init__(self, tiers: Tiered, word_bytes: int) -> None:
        self._far = clock(tiers.far, word_bytes)
        self._near_words = -(-tiers.near_bytes // word_bytes)
        self._waiting: deque[int] = deque()
        self._answered = 0

    def ready(self, now: int, *, read: int | None, write: int | None) -> tuple[bool, bool]:
        """Return whether a read and a write would be accepted, given the words they ask for."""
        near_read, near_write = self._near(read), self._near(write)
        far_read, far_write = self._far.ready(
            now, read=None if near_read else read, write=None if near_write else write
        )
        while self._waiting and self._waiting[0] < now:
            self._waiting.popleft()
        room = len(self._waiting) < TieredMemory.near_reads
        return (room if near_read else far_read), near_write or far_write

    def room_at(self, address: int) -> int:
        """When the tier of a word next has room for one more request than now."""
        if not self._near(address):
            return self._far.room_at(address)
        return self._waiting[0] + 1 if self._waiting else 0

    def accept(self, now: int, address: int, *, write: bool) -> int:
        """Accept a request for a word; return when a read's answer is there."""
        near = self._near(address)
        due = now + TieredMemory.latency if near else self._far.accept(now, address, write=write)
        if write:
            return due
        self._answered = max(due, self._answered + 1)
        if near:
            self._waiting.append(self._answered)
        return self._answered

    def _near(self, address: int | None) -> bool:
        return address is not None and address < self._near_words


def clock(memory: Memory, word_bytes: int) -> Clock:
    """Time a memory model; an ideal one needs none."""
    if isinstance(memory, Tiered):
        return TieredClock(memory, word_bytes)
    if isinstance(memory, Dram):
        return DramClock(memory, word_bytes)
    return BusClock(memory.bytes_per_cycle or 2 * word_bytes, memory.latency, word_bytes)
