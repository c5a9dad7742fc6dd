# SPDX-License-Identifier: Apache-2.0
"""When a memory model accepts and answers requests: ``memory.h`` for the cycle prediction."""

from abc import ABC, abstractmethod
from collections import deque
from dataclasses import dataclass

from gcnloom_sim.memory import QUEUE, Dram, Memory

__all__ = ["BusClock", "Clock", "DramClock", "clock"]


class Clock(ABC):
    """A memory's queue of requests, served in order; each is timed when it is accepted."""

    def __init__(self) -> None:
        self._leaving: deque[int] = deque()
        self._wrote = False
        self._turns = 0

    def ready(self, now: int, *, read: bool, write: bool) -> tuple[bool, bool]:
        """Return whether a read and a write would be accepted, given which of them ask."""
        while self._leaving and self._leaving[0] < now:
            self._leaving.popleft()
        room = QUEUE - len(self._leaving)
        if not room:
            return False, False
        return self._choose(room) if read and write else (read, write)

    @property
    def room_at(self) -> int:
        """When the queue next has room for one more request than now."""
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


class BusClock(Clock):
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


class DramClock(Clock):
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


def clock(memory: Memory, word_bytes: int) -> Clock:
    """Time a memory model; an ideal one needs none."""
    if isinstance(memory, Dram):
        return DramClock(memory, word_bytes)
    return BusClock(memory.bytes_per_cycle or 2 * word_bytes, memory.latency, word_bytes)
