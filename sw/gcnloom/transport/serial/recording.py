# SPDX-License-Identifier: Apache-2.0
"""Recorded sessions: every byte each way, to be played back without the device.

A recording is a text file of JSON objects, one a line. The first has the format's version, the
``baud`` asked for and the ``origin``: what was recorded. Each other one has the time ``t`` in
seconds and one of ``host`` and ``device`` (bytes from there, in base64), ``draw`` (a number the
host drew), ``rate`` (bauds the host changed to), ``lost`` (why the channel was gone), ``opened``
(it was opened again), and ``config`` (the device's configuration, in TOML).
"""

import base64
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from gcnloom.errors import DataError
from gcnloom.transport.serial.channel import Channel, LostError
from gcnloom_spec.config import AcceleratorConfig

__all__ = ["FORMAT", "Recorder"]

FORMAT = 1


class Recorder:
    """A channel that writes down what goes over another one.

    Parameters
    ----------
    channel : Channel
    path : str or Path
        Recording to write.
    origin : str
        What is recorded.
    baud : int
    draw : callable
        Whose draws are written down too.

    Raises
    ------
    DataError
        The file cannot be written.
    """

    def __init__(
        self, channel: Channel, path: str | Path, *, origin: str, baud: int,
        draw: Callable[[int], int],
    ) -> None:  # fmt: skip
        self._channel, self._draw = channel, draw
        try:
            self._file = Path(path).open("w", encoding="utf-8")
        except OSError as error:
            raise DataError(f"cannot record to {path} ({error.strerror}); try another") from error
        self._put(format=FORMAT, baud=baud, origin=origin)
        self._begin = channel.now()

    def draw(self, below: int) -> int:
        """Draw a number."""
        number = self._draw(below)
        self._note(draw=number)
        return number

    def configured(self, config: AcceleratorConfig) -> None:
        """Note what the device was built for."""
        self._note(config=config.to_toml())

    def write(self, data: bytes) -> None:
        """Send bytes."""
        self._note(host=_text(data))
        self._watched(lambda: self._channel.write(data))

    def read(self, seconds: float) -> bytes:
        """Return what has come."""
        data: bytes = self._watched(lambda: self._channel.read(seconds))
        if data:
            self._note(device=_text(data))
        return data

    def set_rate(self, rate: int) -> None:
        """Change the rate."""
        self._note(rate=rate)
        self._watched(lambda: self._channel.set_rate(rate))

    def reopen(self) -> None:
        """Open the channel again."""
        self._watched(self._channel.reopen)
        self._note(opened=True)

    def now(self) -> float:
        """Return seconds by the channel's clock."""
        return self._channel.now()

    def sleep(self, seconds: float) -> None:
        """Let time pass."""
        self._channel.sleep(seconds)

    def close(self) -> None:
        """End the recording."""
        self._channel.close()
        self._file.close()

    def _watched(self, action: Callable[[], Any]) -> Any:
        try:
            return action()
        except LostError as error:
            self._note(lost=str(error))
            raise

    def _note(self, **what: Any) -> None:
        self._put(t=round(self._channel.now() - self._begin, 6), **what)

    def _put(self, **what: Any) -> None:
        self._file.write(json.dumps(what) + "\n")


def _text(data: bytes) -> str:
    return base64.b64encode(data).decode("ascii")
