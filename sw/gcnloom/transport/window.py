# SPDX-License-Identifier: Apache-2.0
"""A device whose memory is too small for what is in it is a window on the host's."""

import numpy as np
from numpy.typing import NDArray

from gcnloom.transport import NOTHING_JUDGED, Ended, Identity, Judged, Transport, Watch
from gcnloom.transport.link import Link, Moved
from gcnloom.transport.streaming import Stream

__all__ = ["Window"]


class Window:
    """A transport with as much device memory as commands can address.

    What fits the device lies there and nowhere else. Once :meth:`cover` asks for more, the host
    keeps every word and streams: see :class:`~gcnloom.transport.streaming.Stream`.

    Parameters
    ----------
    transport : Transport

    Attributes
    ----------
    words : int
        Of the device's own memory.
    size, need : int
        Bytes of the device's own memory, and of what is in use.
    """

    def __init__(self, transport: Transport) -> None:
        self._transport = transport
        self._identity = transport.identity()
        self._link = Link(transport)
        self._stream: Stream | None = None
        self._used = 0
        self.words = self._identity.memory_words
        self._word_bytes = self._identity.config.memory_bytes
        self.size, self.need = self.words * self._word_bytes, 0

    @property
    def streaming(self) -> bool:
        """Whether the host keeps what the device has no room for."""
        return self._stream is not None

    @property
    def moved(self) -> Moved:
        """What went over the link since the device was opened."""
        return self._link.moved

    def cover(self, words: int) -> None:
        """Let the first `words` words be used from now on."""
        self.need = words * self._word_bytes
        if self._stream is None and words > self.words:
            self._stream = Stream(self._link, self._identity, used=self._used)

    def forget(self) -> None:
        """Let the memory be without contents."""
        self._stream, self._used, self.need = None, 0, 0

    def identity(self) -> Identity:
        """Return what the device says of itself; its memory is the window."""
        return self._identity

    def write(self, address: int, data: bytes) -> None:
        """Write whole words from word `address` on."""
        if self._stream is None:
            self._used = max(self._used, address + len(data) // self._word_bytes)
        self._now.write(address, data)

    def read(self, address: int, words: int) -> bytes:
        """Read `words` words."""
        return self._now.read(address, words)

    def run(
        self, program_address: int, commands: int, seed: int, step: int, *,
        judged: Judged = NOTHING_JUDGED, watch: Watch | None = None, keep: bool = False,
    ) -> Ended:  # fmt: skip
        """Run a program to its end, in segments where the host streams."""
        self._used = self.words
        return self._now.run(
            program_address, commands, seed, step, judged=judged, watch=watch, keep=keep
        )

    def counters(self) -> dict[str, int]:
        """Return the counters of the last run, those of its segments added up."""
        return self._now.counters()

    def statistics(self) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Return envelopes and saturations of the last run, its segments taken together."""
        return self._now.statistics()

    def scales(self) -> NDArray[np.int64]:
        """Return exponents, wanted exponents and shifts, a row each, by tensor id."""
        return self._transport.scales()

    def close(self) -> None:
        """Give the device back."""
        self._stream = None
        self._transport.close()

    @property
    def _now(self) -> Link | Stream:
        return self._link if self._stream is None else self._stream
