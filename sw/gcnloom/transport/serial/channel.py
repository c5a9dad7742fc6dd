# SPDX-License-Identifier: Apache-2.0
"""A channel of bytes, and the serial port as one."""

import math
import time
from typing import Any, Protocol

from gcnloom.errors import DeviceError
from gcnloom.transport.serial.ports import failure, module, named_again, usb_identity

__all__ = ["Channel", "LostError", "SerialChannel"]

GRAIN = 1e-3
"""Seconds; waits are rounded up to 1, 2, 4... of them, as to set another one is dear."""
WRITE_SECONDS = 10.0


class LostError(DeviceError):
    """The channel is gone, at least for now."""


class Channel(Protocol):
    """Bytes to and from a device, in order, perhaps damaged."""

    def write(self, data: bytes) -> None:
        """Send bytes. Raises :class:`LostError` if the other side is gone."""

    def read(self, seconds: float) -> bytes:
        """Return what has come, waiting for the first byte no longer than that; or nothing."""

    def set_rate(self, rate: int) -> None:
        """Use so many bauds from now on; who asks for that has waited until all has left."""

    def reopen(self) -> None:
        """Open it again, without what was under way. Raises :class:`LostError` if it is gone."""

    def now(self) -> float:
        """Return seconds since some moment, by the clock that `read` waits by."""

    def sleep(self, seconds: float) -> None:
        """Let time pass, by the same clock."""

    def close(self) -> None:
        """Let go of it."""


class SerialChannel:
    """A serial port of this machine.

    Parameters
    ----------
    port : str
        As the operating system names it.
    rate : int
        Bauds.

    Raises
    ------
    DeviceError
        It cannot be opened; the message says why and what helps.
    """

    def __init__(self, port: str, rate: int) -> None:
        self._serial = module("serial")
        self._name, self._rate = port, rate
        self._identity = usb_identity(port)
        self._port = self._opened()

    def write(self, data: bytes) -> None:
        """Send bytes."""
        try:
            self._port.write(data)
        except (self._serial.SerialException, OSError) as error:
            raise self._lost(error) from error

    def read(self, seconds: float) -> bytes:
        """Return what has come."""
        wait = GRAIN * 2 ** max(0, math.ceil(math.log2(max(seconds, GRAIN) / GRAIN)))
        try:
            if self._port.timeout != wait:
                self._port.timeout = wait
            first: bytes = self._port.read(1)
            if not first:
                return first
            return first + bytes(self._port.read(self._port.in_waiting))
        except (self._serial.SerialException, OSError, TypeError) as error:
            # pyserial lets a TypeError out when its port is closed under it.
            raise self._lost(error) from error

    def set_rate(self, rate: int) -> None:
        """Use so many bauds from now on."""
        self._rate = rate
        try:
            self._port.baudrate = rate
        except (self._serial.SerialException, OSError) as error:
            raise self._lost(error) from error
        except ValueError as error:
            raise DeviceError(
                f"port {self._name} cannot do {rate} baud ({error}); try a lower baud"
            ) from error

    def reopen(self) -> None:
        """Open the port again, also where it has got another name."""
        self.close()
        self._name = named_again(self._name, self._identity)
        try:
            self._port = self._opened()
        except DeviceError as error:
            raise LostError(str(error)) from error

    def now(self) -> float:
        """Return the machine's own steady time."""
        return time.monotonic()

    def sleep(self, seconds: float) -> None:
        """Sleep."""
        time.sleep(seconds)

    def close(self) -> None:
        """Close the port."""
        try:
            self._port.close()
        except OSError:
            # It is gone already, which is what was wanted.
            return

    def _opened(self) -> Any:
        try:
            port = self._serial.Serial(
                self._name, self._rate, exclusive=True, write_timeout=WRITE_SECONDS
            )
            port.reset_input_buffer()
        except (self._serial.SerialException, OSError, ValueError) as error:
            raise DeviceError(failure(self._name, self._rate, error)) from error
        try:
            port.set_low_latency_mode(True)
        except (AttributeError, NotImplementedError, OSError, ValueError):
            # Not every driver has it; the link is right without, only slower to answer.
            return port
        return port

    def _lost(self, error: Exception) -> LostError:
        return LostError(
            f"port {self._name} is gone ({error}); try its cable, and another USB port or hub"
        )
