# SPDX-License-Identifier: Apache-2.0
"""Compare packets with a model's, one by one, as they come."""

from collections.abc import Callable, Iterable
from typing import Any

import cocotb
from cocotb.triggers import Event, with_timeout

__all__ = ["Checker", "Mismatch"]


class Mismatch(Exception):
    """A packet is not the one that the model says."""


class Checker:
    """Raise :class:`Mismatch` at the first packet that differs from what a model expects.

    Parameters
    ----------
    name : str
        What messages call the stream.
    expected : iterable
        Packets of the model, in order.
    view : callable
        From the bits of a packet to what is compared.
    """

    def __init__(
        self, name: str, expected: Iterable[Any], view: Callable[[Any], Any] = lambda bits: bits
    ) -> None:
        self._name, self._expected, self._view = name, list(expected), view
        self.seen = 0
        self._complete = Event()

    def __call__(self, packet: Any) -> None:
        """Check the next packet."""
        seen = self._view(packet)
        if self.seen == len(self._expected):
            raise Mismatch(f"{self._name}: {seen} after all {self.seen} packets")
        if seen != self._expected[self.seen]:
            raise Mismatch(
                f"{self._name}: packet {self.seen} of {len(self._expected)} is {seen}, "
                f"not {self._expected[self.seen]}"
            )
        self.seen += 1
        if self.seen == len(self._expected):
            self._complete.set()

    async def complete(self, microseconds: int) -> None:
        """Wait for the last packet; a time-out says how far it came."""
        if self.seen == len(self._expected):
            return
        try:
            await with_timeout(self._complete.wait(), microseconds, "us")
        except cocotb.triggers.SimTimeoutError as error:
            raise Mismatch(
                f"{self._name}: {self.seen} of {len(self._expected)} packets after "
                f"{microseconds} us"
            ) from error
