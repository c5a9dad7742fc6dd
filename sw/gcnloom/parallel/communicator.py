# SPDX-License-Identifier: Apache-2.0
"""Workers that exchange arrays in rounds, every byte counted by what it is for."""

from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gcnloom.errors import LoomError
from gcnloom.parallel.shares import even_shares

__all__ = ["COMBINES", "Alone", "Communicator", "WorkerError", "arrived"]

COMBINES = {"sum": np.add, "or": np.bitwise_or, "max": np.maximum}
"""How :meth:`Communicator.all_reduce` joins two arrays of integers: exact, in any order."""

Array = NDArray[Any]


class WorkerError(LoomError):
    """Another worker stopped, or did not come to an exchange in time."""


class Communicator(ABC):
    """One worker's end of the connections between all.

    All workers call the same methods in the same order. What a worker keeps for itself is not
    counted. The rest is built on one primitive, :meth:`exchange`. What goes on in the background
    has a connection of its own, on which a thread does one exchange after the other.

    Attributes
    ----------
    rank, size : int
        Number of this worker, from 0 on, and of how many.
    sent : Counter[str]
        Bytes that this worker has sent to others, by class of message.
    messages : Counter[str]
        Likewise, how many messages that were not empty.
    """

    rank: int
    size: int

    def __init__(self) -> None:
        self.sent: Counter[str] = Counter()
        self.messages: Counter[str] = Counter()
        self._turn = 0
        self._courier = ThreadPoolExecutor(max_workers=1, thread_name_prefix="courier")
        self._background: Communicator | None = None

    @abstractmethod
    def exchange(self, pieces: Sequence[bytes], sizes: Sequence[int]) -> list[bytes]:
        """Send ``pieces[i]`` to worker `i`; return what each sent here, of the given sizes.

        Raises
        ------
        WorkerError
            Another worker stopped, or sent another number of bytes.
        """

    @abstractmethod
    def fail(self, error: BaseException) -> None:
        """Have every other worker stop, this one having met `error`."""

    @abstractmethod
    def channel(self) -> "Communicator":
        """Open another connection to the same workers, for a thread of its own; all do together.

        Exchanges of one do not wait for those of the other, and each counts its bytes. If a
        worker fails, both end.
        """

    def post(
        self, kind: str, pieces: Sequence[Array], shapes: Sequence[tuple[int, ...]], *,
        background: bool = True,
    ) -> "Future[list[Array]]":  # fmt: skip
        """Send ``pieces[i]`` to worker `i`; the result is what each sends here.

        Parameters
        ----------
        kind : str
            Class of message that the bytes count to.
        pieces : sequence of NDArray
            One for each worker, all of one dtype, which is that of the result.
        shapes : sequence of tuple of int
            Of what comes here.
        background : bool
            Whether to return at once, while the exchange goes on; else it is done.
        """
        dtype = pieces[0].dtype
        data = [np.ascontiguousarray(piece).tobytes() for piece in pieces]
        self.sent[kind] += sum(map(len, data)) - len(data[self.rank])
        self.messages[kind] += sum(map(bool, data)) - bool(data[self.rank])
        sizes = [int(np.prod(shape)) * dtype.itemsize for shape in shapes]

        def travel(connection: Communicator) -> list[Array]:
            return [
                np.frombuffer(part, dtype=dtype).reshape(shape)
                for part, shape in zip(connection.exchange(data, sizes), shapes, strict=True)
            ]

        if not background:
            return arrived(travel(self))
        self._background = self._background or self.channel()
        return self._courier.submit(travel, self._background)

    def all_to_all(
        self, kind: str, pieces: Sequence[Array], shapes: Sequence[tuple[int, ...]]
    ) -> list[Array]:
        """Send ``pieces[i]`` to worker `i`; return what each sent here; see :meth:`post`."""
        return self.post(kind, pieces, shapes, background=False).result()

    def all_gather(self, kind: str, piece: Array, shapes: Sequence[tuple[int, ...]]) -> list[Array]:
        """Send a piece to everybody; return everybody's, of the given shapes."""
        return self.all_to_all(kind, [piece] * self.size, shapes)

    def table(self, kind: str, numbers: Any) -> NDArray[np.int64]:
        """Everybody's integers, a number or an array of one shape, stacked by rank."""
        mine = np.array(numbers, dtype=np.int64)
        return np.stack(self.all_gather(kind, mine, [mine.shape] * self.size))

    def all_reduce(self, kind: str, array: Array, combine: str) -> Array:
        """Element-wise ``"sum"``, ``"or"`` or ``"max"`` of everybody's array, the same for all.

        Each worker joins a share of the elements and hands it round, which moves as few bytes as
        can be: ``2 * (size - 1) * array.nbytes`` in all. Shares go round from call to call, so
        that arrays with fewer elements than workers burden all alike.

        Parameters
        ----------
        kind : str
        array : NDArray of an integer dtype
            Of the same shape and dtype on every worker.
        combine : {"sum", "or", "max"}
        """
        flat = np.ascontiguousarray(array).reshape(-1)
        shares = even_shares(flat.size, self.size)
        shares = shares[self._turn :] + shares[: self._turn]
        self._turn = (self._turn + 1) % self.size
        mine = len(shares[self.rank])
        parts = self.all_to_all(
            kind, [flat[share.start : share.stop] for share in shares], [(mine,)] * self.size
        )
        joined = COMBINES[combine].reduce(np.stack(parts), axis=0).astype(flat.dtype)
        gathered = self.all_gather(kind, joined, [(len(share),) for share in shares])
        result = np.empty_like(flat)
        for share, part in zip(shares, gathered, strict=True):
            result[share.start : share.stop] = part
        return result.reshape(array.shape)

    def barrier(self) -> None:
        """Wait until every worker is here."""
        self.exchange([b""] * self.size, [0] * self.size)

    def close(self) -> None:
        """Wait until what was posted has travelled."""
        self._courier.shutdown()


class Alone(Communicator):
    """The only worker."""

    rank, size = 0, 1

    def exchange(self, pieces: Sequence[bytes], sizes: Sequence[int]) -> list[bytes]:
        """Return the one piece."""
        return list(pieces)

    def fail(self, error: BaseException) -> None:
        """Nobody else has to stop."""

    def channel(self) -> Communicator:
        """Return another who is alone."""
        return Alone()


def arrived(result: list[Array]) -> "Future[list[Array]]":
    """Return the result of an exchange that is over."""
    future: Future[list[Array]] = Future()
    future.set_result(result)
    return future
