# SPDX-License-Identifier: Apache-2.0
"""Workers as threads of this process, each with a device of its own."""

import threading
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from gcnloom.errors import ConfigError, LoomError
from gcnloom.parallel.communicator import Communicator, WorkerError

__all__ = ["ThreadCommunicator", "run_threads"]

Result = TypeVar("Result")
PATIENCE = 3600.0
"""Seconds that a worker waits for the others by default: a simulated device may take long."""
GLANCE = 0.1
"""Seconds between looks whether the keyboard has interrupted."""


class _Meeting:
    """Where the workers of a group put down what the others pick up."""

    def __init__(self, size: int, timeout: float) -> None:
        self.size, self.timeout = size, timeout
        self.barrier = threading.Barrier(size)
        self.table: list[Sequence[bytes]] = [()] * size
        self.failed: tuple[int, BaseException] | None = None
        self._channels: list[_Meeting] = []
        self._lock = threading.Lock()

    def fail(self, rank: int, error: BaseException) -> None:
        """Let everybody stop who waits or comes to wait; the first reason counts."""
        with self._lock:
            if self.failed is None:
                self.failed = rank, error
            channels = list(self._channels)
        self.barrier.abort()
        for channel in channels:
            channel.fail(rank, error)

    def channel(self, number: int) -> "_Meeting":
        """Return another place for the same workers, to which a failure comes too."""
        with self._lock:
            while len(self._channels) <= number:
                self._channels.append(_Meeting(self.size, self.timeout))
            channel = self._channels[number]
        if self.failed is not None:
            channel.fail(*self.failed)
        return channel

    def meet(self) -> None:
        """Wait for the others."""
        try:
            self.barrier.wait(self.timeout)
        except threading.BrokenBarrierError:
            raise WorkerError(self._reason()) from None

    def _reason(self) -> str:
        if self.failed is not None:
            rank, error = self.failed
            return f"worker {rank} stopped ({error})"
        return (
            f"a worker did not come to an exchange within {self.timeout:g} s; "
            "try a longer timeout, or look for what keeps its device busy"
        )


class ThreadCommunicator(Communicator):
    """A worker that is a thread; :func:`run_threads` makes them."""

    def __init__(self, meeting: _Meeting, rank: int) -> None:
        super().__init__()
        self.rank, self.size = rank, meeting.size
        self._meeting = meeting
        self._channels = 0

    def exchange(self, pieces: Sequence[bytes], sizes: Sequence[int]) -> list[bytes]:
        """Send ``pieces[i]`` to worker `i`; return what each sent here."""
        meeting = self._meeting
        meeting.table[self.rank] = pieces
        meeting.meet()
        received = [meeting.table[other][self.rank] for other in range(self.size)]
        meeting.meet()  # Nobody puts down the next pieces before all have picked up these.
        for other, (part, size) in enumerate(zip(received, sizes, strict=True)):
            if len(part) != size:
                raise WorkerError(
                    f"worker {other} sent {len(part)} bytes to worker {self.rank}, which expects "
                    f"{size}; try the same graph and options on every worker"
                )
        return received

    def fail(self, error: BaseException) -> None:
        """Have every other worker stop."""
        self._meeting.fail(self.rank, error)

    def channel(self) -> Communicator:
        """Open another connection to the same workers."""
        self._channels += 1
        return ThreadCommunicator(self._meeting.channel(self._channels - 1), self.rank)


def run_threads(
    size: int, work: Callable[[Communicator], Result], *, timeout: float = PATIENCE
) -> list[Result]:
    """Run `work` as so many workers at once; return what each returned, by rank.

    If one raises, the others stop at their next exchange, and the error is raised here, with
    the worker's number. An interruption from the keyboard stops them likewise.

    Parameters
    ----------
    size : int
        Workers, at least one.
    work : callable
        Is given the worker's communicator.
    timeout : float
        Seconds that a worker waits for the others at most.
    """
    if size < 1:
        raise ConfigError(f"workers={size} is not positive; try 1")
    meeting = _Meeting(size, timeout)
    results: list[Any] = [None] * size

    def run(rank: int) -> None:
        communicator = ThreadCommunicator(meeting, rank)
        try:
            results[rank] = work(communicator)
        except BaseException as error:
            meeting.fail(rank, error)
        finally:
            communicator.close()

    threads = [
        threading.Thread(target=run, args=(rank,), name=f"worker {rank}", daemon=True)
        for rank in range(size)
    ]
    _run_to_the_end(threads, meeting)
    if meeting.failed is not None:
        raise _named(*meeting.failed, size)
    return results


def _run_to_the_end(threads: Sequence[threading.Thread], meeting: _Meeting) -> None:
    """Start threads and wait for them; an interruption stops them."""
    for thread in threads:
        thread.start()
    try:
        while any(thread.is_alive() for thread in threads):
            for thread in threads:
                thread.join(GLANCE)
    except KeyboardInterrupt as error:
        meeting.fail(0, error)
        for thread in threads:
            thread.join()
        raise


def _named(rank: int, error: BaseException, size: int) -> BaseException:
    """Return the error of a worker, with its number if there are several."""
    if isinstance(error, LoomError) and not isinstance(error, WorkerError) and size > 1:
        named = type(error)(f"worker {rank}: {error}")
        named.__cause__ = error
        return named
    return error
