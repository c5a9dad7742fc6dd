# SPDX-License-Identifier: Apache-2.0
"""An exchange that every epoch repeats: part by part, and perhaps read some epochs later."""

from collections.abc import Iterable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import BinaryIO

import numpy as np
from numpy.typing import NDArray

from gcnloom.parallel.communicator import arrived
from gcnloom.parallel.scheme import Link, Mantissas, Message, Moment, wire_type
from gcnloom_spec.number import limits

__all__ = ["Exchange", "Shapes"]

Shapes = Sequence[tuple[int, int]]


@dataclass(kw_only=True, eq=False)
class _Sent:
    """What came, or comes, of the exchange of one epoch."""

    exponent: int
    arrivals: list["Future[list[NDArray[np.signedinteger]]]"] = field(default_factory=list)
    unread: list[tuple[int, int]] = field(default_factory=list)
    """Of each part its bytes, and what the device had run before."""


class Exchange:
    """Pieces to all workers and from all, with what is under way from earlier epochs.

    What a worker keeps for itself is always of this epoch. What comes from others is of the epoch
    ``staleness`` ago, or the first one if that is later, and has that epoch's exponent. It is
    requantised to this epoch's as any result is: shifted, rounded to the nearest, ties to even,
    saturated.

    Parameters
    ----------
    link : Link
    message : Message
    width : int
        Bits of an element.
    shapes : sequence of sequence of tuple of int
        Of what comes here, by part and sender.
    """

    def __init__(
        self, link: Link, message: Message, width: int, shapes: Sequence[Shapes]
    ) -> None:  # fmt: skip
        self._link, self._message, self._width, self._shapes = link, message, width, shapes
        self._type = wire_type(width)
        self._sent: dict[int, _Sent] = {}
        link.exchanges.append(self)

    def run(
        self, parts: Iterable[Sequence[NDArray[np.integer]]], moment: Moment
    ) -> list[list[Mantissas]]:
        """Send parts as they are made; return those to be used, by part and sender.

        Parameters
        ----------
        parts : iterable of sequence of NDArray
            Of each part a piece for every worker. Making the next one takes the device's time,
            in which the one before travels.
        moment : Moment
            A step that was run before is run anew.
        """
        link, staleness = self._link, self._link.pipeline.staleness
        sent = _Sent(exponent=moment.exponents[self._message.tensor])
        own: list[NDArray[np.signedinteger]] = []
        for shapes, pieces in zip(self._shapes, parts, strict=True):
            data = [piece.astype(self._type) for piece in pieces]
            last = len(own) + 1 == len(self._shapes)
            sent.unread.append((_to_others(data, link.rank), link.worker.runs))
            sent.arrivals.append(
                link.communicator.post(
                    self._message.kind, data, shapes, background=staleness > 0 or not last
                )
            )
            own.append(data[link.rank])
        oldest = moment.step - staleness
        kept = {step: each for step, each in self._sent.items() if oldest <= step < moment.step}
        self._sent = kept | {moment.step: sent}
        return self._read(own, min(self._sent), moment)

    def under_way(self, steps: range) -> bytes:
        """Return what came of these steps, so that :meth:`resume` can go on."""
        return b"".join(
            np.int64(sent.exponent).tobytes()
            + b"".join(piece.tobytes() for each in sent.arrivals for piece in each.result())
            for sent in (self._sent[step] for step in steps)
        )

    def resume(self, steps: range, stream: BinaryIO) -> None:
        """Take up what another exchange of the same shapes returned."""

        def read(shape: tuple[int, int]) -> NDArray[np.signedinteger]:
            data = stream.read(shape[0] * shape[1] * self._type.itemsize)
            return np.frombuffer(data, dtype=self._type).reshape(shape)

        self._sent = {}
        for step in steps:
            exponent = int(np.frombuffer(stream.read(8), dtype=np.int64)[0])
            arrivals = [arrived([read(shape) for shape in shapes]) for shapes in self._shapes]
            self._sent[step] = _Sent(exponent=exponent, arrivals=arrivals)

    def _read(
        self, own: Sequence[NDArray[np.signedinteger]], step: int, moment: Moment
    ) -> list[list[Mantissas]]:
        """Return the pieces of a step, this worker's own among them being new."""
        link, sent = self._link, self._sent[step]
        exponent = moment.exponents[self._message.tensor]
        link.hidden[self._message.kind] += sum(
            size for size, runs in sent.unread if link.worker.runs > runs
        )
        sent.unread = []
        if link.communicator.size > 1:
            link.ages[moment.step - step] += 1
        return [
            [
                mine.astype(np.int64) if sender == link.rank
                else self._aligned(piece, sent.exponent - exponent)
                for sender, piece in enumerate(arrival.result())
            ]
            for mine, arrival in zip(own, sent.arrivals, strict=True)
        ]  # fmt: skip

    def _aligned(self, piece: NDArray[np.signedinteger], exponents: int) -> Mantissas:
        """Requantise a piece whose exponent is so much larger than this epoch's."""
        if not exponents:
            return piece.astype(np.int64)
        low, high = limits(self._width)
        whole = np.rint(np.ldexp(piece.astype(np.float64), exponents))
        fitting = np.clip(whole, low, high)
        self._link.worker.clipped += int(np.count_nonzero(fitting != whole))
        return fitting.astype(np.int64)


def _to_others(pieces: Sequence[NDArray[np.signedinteger]], rank: int) -> int:
    return sum(piece.nbytes for piece in pieces) - pieces[rank].nbytes
