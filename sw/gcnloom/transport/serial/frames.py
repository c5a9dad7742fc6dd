# SPDX-License-Identifier: Apache-2.0
"""Frames: bodies with a check between flags, and bodies out of any stream of bytes."""

import zlib
from collections.abc import Iterable

from gcnloom_spec.link import CHECK_BYTES, ESCAPE, ESCAPED, FLAG

__all__ = ["Deframer", "framed"]

FLAG_BYTE = bytes([FLAG])
ESCAPE_BYTE = bytes([ESCAPE])
STUFFED_FLAG = bytes([ESCAPE, FLAG ^ ESCAPED])
STUFFED_ESCAPE = bytes([ESCAPE, ESCAPE ^ ESCAPED])


def framed(bodies: Iterable[bytes]) -> bytes:
    """Return frames of header and payload, with their checks; neighbours share a flag.

    The flag in front ends whatever the other side took for the begin of a frame.
    """
    return b"".join([FLAG_BYTE, *(_stuffed(body) + FLAG_BYTE for body in bodies)])


def _stuffed(body: bytes) -> bytes:
    checked = body + zlib.crc32(body).to_bytes(CHECK_BYTES, "little")
    return checked.replace(ESCAPE_BYTE, STUFFED_ESCAPE).replace(FLAG_BYTE, STUFFED_FLAG)


class Deframer:
    """Finds what was framed in bytes that come in pieces, whatever lies between.

    Parameters
    ----------
    longest : int
        Bytes of the longest frame, escapes included; what is longer is no frame.

    Attributes
    ----------
    bad : int
        Pieces between flags that were no frame.
    """

    def __init__(self, longest: int = 1 << 18) -> None:
        self._longest = longest
        self._begun: list[bytes] = []
        self._length = 0
        self.bad = 0

    def forget(self) -> None:
        """Begin anew with the next byte."""
        self._begun.clear()
        self._length = 0

    def feed(self, data: bytes) -> list[bytes]:
        """Return the bodies, without their checks, that these bytes bring to their ends."""
        *ended, begun = data.split(FLAG_BYTE)
        bodies = []
        for piece in ended:
            stuffed = b"".join([*self._begun, piece]) if self._begun else piece
            self.forget()
            body = _checked(stuffed)
            if body is not None:
                bodies.append(body)
            elif stuffed:
                self.bad += 1
        if begun:
            self._keep(begun)
        return bodies

    def _keep(self, piece: bytes) -> None:
        """Keep the begin of a frame; of one that is too long, only that it was there."""
        if self._length + len(piece) > self._longest:
            self._begun, piece = [ESCAPE_BYTE], b""
        self._length += len(piece)
        self._begun.append(piece)


def _checked(stuffed: bytes) -> bytes | None:
    """Return a body without its check, or None if it is none."""
    checked = stuffed.replace(STUFFED_FLAG, FLAG_BYTE).replace(STUFFED_ESCAPE, ESCAPE_BYTE)
    body, check = checked[:-CHECK_BYTES], checked[-CHECK_BYTES:]
    if not body or zlib.crc32(body).to_bytes(CHECK_BYTES, "little") != check:
        return None
    return body
