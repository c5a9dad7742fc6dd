# SPDX-License-Identifier: Apache-2.0
"""Channels to a device in this process: a line with a clock of its own, and one that does harm."""

from bisect import bisect
from collections import Counter

import numpy as np

from gcnloom.transport.serial.channel import Channel, LostError
from gcnloom_sim.link_device import LinkDevice

__all__ = ["KINDS", "FaultyChannel", "MemoryChannel"]

BITS_A_BYTE = 10
KINDS = ("flip", "drop", "duplicate", "garbage", "burst", "pause", "disconnect")
UP_TO = (0.35, 0.55, 0.75, 0.87, 0.95, 0.99)
"""Part of the faults that each kind and those before it are, the last excepted."""
LONGEST_GARBAGE = 40
LONGEST_PAUSE = 0.5


class MemoryChannel:
    """A line to a device in this process; time is what the line takes and what is waited for.

    Parameters
    ----------
    device : LinkDevice
    rate : int
        Bauds of the host's end.

    Attributes
    ----------
    sent, received : int
        Bytes that went over the line, from the host and to it.
    """

    def __init__(self, device: LinkDevice, rate: int) -> None:
        self.device = device
        self._rate, self._now = rate, 0.0
        self._coming: list[tuple[int, bytes]] = []
        self.sent = self.received = 0

    def write(self, data: bytes) -> None:
        """Send bytes, which the device takes at once."""
        self._pass(len(data))
        self.sent += len(data)
        if not self.device.hears(self._rate):
            self.device.receive_noise(len(data))
            return
        rate, answer = self.device.rate, self.device.receive(data)
        if answer:
            self._coming.append((rate, answer))
        self.device.settle()

    def read(self, seconds: float) -> bytes:
        """Return what the device has sent; noise if that was at another rate."""
        if not self._coming:
            self._now += seconds
            return b""
        rate, data = self._coming.pop(0)
        self._pass(len(data))
        self.received += len(data)
        return data if abs(rate - self._rate) < rate / 50 else data[::-3]

    def set_rate(self, rate: int) -> None:
        """Change the host's rate."""
        self._rate = rate

    def reopen(self) -> None:
        """Forget what was under way."""
        self._coming.clear()

    def now(self) -> float:
        """Return seconds on the line's clock."""
        return self._now

    def sleep(self, seconds: float) -> None:
        """Let time pass."""
        self._now += seconds

    def close(self) -> None:
        """Forget what was under way."""
        self._coming.clear()

    def _pass(self, count: int) -> None:
        self._now += BITS_A_BYTE * count / self._rate


class FaultyChannel:
    """A channel that damages what goes through it, at random.

    Parameters
    ----------
    channel : Channel
    seed : int
    mean_bytes : float
        Bytes between two faults, on the average, counted both ways together.

    Attributes
    ----------
    faults : Counter[str]
        By kind.
    """

    def __init__(self, channel: Channel, *, seed: int, mean_bytes: float) -> None:
        self._channel = channel
        self._random = np.random.default_rng(seed)
        self._mean = mean_bytes
        self._left = self._gap()
        self._refusals = 0
        self._gone = False
        self.faults: Counter[str] = Counter()

    def write(self, data: bytes) -> None:
        """Send bytes, some of them damaged."""
        self._check()
        harmed = self._harmed(data)
        self._channel.write(harmed)
        self._check()

    def read(self, seconds: float) -> bytes:
        """Return bytes, some of them damaged."""
        self._check()
        harmed = self._harmed(self._channel.read(seconds))
        self._check()
        return harmed

    def set_rate(self, rate: int) -> None:
        """Change the rate."""
        self._channel.set_rate(rate)

    def reopen(self) -> None:
        """Open again, perhaps in vain at first."""
        if self._refusals:
            self._refusals -= 1
            raise LostError("the faulty channel is still unplugged; try again")
        self._channel.reopen()
        self._gone = False

    def now(self) -> float:
        """Return seconds on the channel's clock."""
        return self._channel.now()

    def sleep(self, seconds: float) -> None:
        """Let time pass."""
        self._channel.sleep(seconds)

    def close(self) -> None:
        """Let go of the channel."""
        self._channel.close()

    def _check(self) -> None:
        if self._gone:
            raise LostError("the faulty channel was unplugged; try again")

    def _gap(self) -> int:
        return 1 + int(self._random.exponential(self._mean))

    def _harmed(self, data: bytes) -> bytes:
        """Return the bytes with as many faults as are due."""
        parts, start = [], 0
        while not self._gone and self._left <= len(data) - start:
            place = start + self._left - 1
            parts.append(data[start:place])
            part, start = self._harm(data, place)
            parts.append(part)
            self._left = self._gap()
        if self._gone:
            return b"".join(parts)
        self._left -= len(data) - start
        parts.append(data[start:])
        return b"".join(parts)

    def _harm(self, data: bytes, place: int) -> tuple[bytes, int]:
        """Return what the byte there becomes, and where what is not harmed begins."""
        kind = KINDS[bisect(UP_TO, self._random.random())]
        self.faults[kind] += 1
        byte = data[place : place + 1]
        match kind:
            case "flip":
                return bytes([byte[0] ^ (1 << int(self._random.integers(8)))]), place + 1
            case "drop":
                return b"", place + 1
            case "duplicate":
                return byte * 2, place + 1
            case "garbage":
                return byte + self._random.bytes(1 + int(self._random.integers(LONGEST_GARBAGE))), (
                    place + 1
                )
            case "burst":
                return b"", place + int(self._random.integers(2, 200))
            case "pause":
                self._channel.sleep(float(self._random.uniform(0, LONGEST_PAUSE)))
                return byte, place + 1
        self._gone, self._refusals = True, int(self._random.integers(4))
        return b"", place + 1
