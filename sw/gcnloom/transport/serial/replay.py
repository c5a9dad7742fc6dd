# SPDX-License-Identifier: Apache-2.0
"""A recorded session as a channel: the device's part of it, and an ear for the host's."""

import base64
import json
import tomllib
from collections import deque
from pathlib import Path
from typing import Any

from gcnloom.errors import DataError, DeviceError
from gcnloom.transport.serial.channel import LostError
from gcnloom.transport.serial.recording import FORMAT
from gcnloom_spec.config import AcceleratorConfig

__all__ = ["Replay"]

Event = tuple[str, bytes]
PLAYED = ("host", "device", "lost", "opened")
SHOWN = 24
"""Bytes of a difference that a message shows."""


class Replay:
    """A channel with the device's part of a recording.

    What the device sent comes once the host has sent all that came before it. Time is counted in
    what is waited for.

    Parameters
    ----------
    path : str or Path
        A recording.

    Attributes
    ----------
    baud : int
        The one asked for.
    config : AcceleratorConfig or None
        What the device was built for.

    Raises
    ------
    DataError
        The file is no recording.
    """

    def __init__(self, path: str | Path) -> None:
        self._path = path
        try:
            lines = Path(path).read_text(encoding="utf-8").splitlines()
            head, *entries = [json.loads(line) for line in lines]
            if head["format"] != FORMAT:
                raise ValueError(f"format {head['format']}, not {FORMAT}")
            self.baud = int(head["baud"])
            self.config = _config(entries)
            self._draws = deque(int(entry["draw"]) for entry in entries if "draw" in entry)
            self._events = deque(
                _event(entry, kind) for entry in entries for kind in PLAYED if kind in entry
            )
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            raise DataError(f"{path} is no recorded session ({error}); try another") from error
        self._late: deque[bytes] = deque()
        self._now = 0.0

    @property
    def ended(self) -> bool:
        """Whether all was played."""
        return not self._events

    def draw(self, below: int) -> int:
        """Return the number that was drawn."""
        if not self._draws:
            raise DataError(f"{self._path} has no draws left; try recording the session again")
        return self._draws.popleft()

    def write(self, data: bytes) -> None:
        """Compare what the host sends with what it sent."""
        while data:
            self._lose()
            kind, recorded = self._events.popleft() if self._events else ("end", b"")
            if kind == "device":
                # It was read by now when this was recorded; how soon a host reads is its affair.
                self._late.append(recorded)
                continue
            both = min(len(data), len(recorded))
            if kind != "host" or data[:both] != recorded[:both]:
                raise DeviceError(
                    f"the host sends {data[:SHOWN].hex()}, where {self._path} has {kind} "
                    f"{recorded[:SHOWN].hex()}; try the release that recorded it, or record anew"
                )
            data = data[both:]
            if recorded[both:]:
                self._events.appendleft((kind, recorded[both:]))

    def read(self, seconds: float) -> bytes:
        """Return what the device sent after what the host has sent by now."""
        if self._late:
            return self._late.popleft()
        self._lose()
        if self._events and self._events[0][0] == "device":
            return self._events.popleft()[1]
        self._now += seconds
        return b""

    def set_rate(self, rate: int) -> None:
        """Do nothing: bytes have no rate here."""

    def reopen(self) -> None:
        """Go on behind the point at which the channel was opened again."""
        self._lose()
        while self._events and self._events.popleft()[0] != "opened":
            pass

    def now(self) -> float:
        """Return the seconds that were waited for."""
        return self._now

    def sleep(self, seconds: float) -> None:
        """Let time pass."""
        self._now += seconds

    def close(self) -> None:
        """Do nothing: there is nothing to let go of."""

    def _lose(self) -> None:
        if self._events and self._events[0][0] == "lost":
            raise LostError(self._events.popleft()[1].decode())


def _event(entry: dict[str, Any], kind: str) -> Event:
    if kind in ("host", "device"):
        return kind, base64.b64decode(entry[kind], validate=True)
    return kind, str(entry[kind]).encode()


def _config(entries: list[dict[str, Any]]) -> AcceleratorConfig | None:
    texts = [entry["config"] for entry in entries if "config" in entry]
    return AcceleratorConfig.from_mapping(tomllib.loads(texts[0])) if texts else None
