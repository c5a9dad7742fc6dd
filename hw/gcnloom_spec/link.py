# SPDX-License-Identifier: Apache-2.0
"""The link between host and board: frames of bytes over a UART.

A *frame* is a `FLAG`, a body and a `FLAG`, which may be the first of the next frame; empty frames
are ignored. In a body, `FLAG` and `ESCAPE` are sent as `ESCAPE` and the byte with `ESCAPED`
flipped, so that a flag is nothing else and one is enough to be in step again. A body is a header,
a payload of 4, 8... bytes or none, and the CRC-32 of both (IEEE 802.3, as ``zlib.crc32``), least
significant byte first. A body of another length, of more than `window_bytes` or whose check fails
counts for nothing, and asks for `AGAIN`: such an answer has the session, and a kind that means
nothing.

The host asks, the device answers, each request once and in order. A request carries its session
and its sequence number, which goes up by one from request to request. The device knows which
number it expects next. Of the numbers around it,

* the expected one is carried out and answered. One that is not `DONE` stays expected: nothing of
  it was done, and what was sent behind it is answered by `AGAIN`;
* the 127 before it have been carried out already. Reads are carried out again, all others are
  only answered again: their answers were lost;
* the 128 behind it say that something was lost. Nothing is done; `AGAIN` names the expected
  number, from which on the host sends all again.

A `HELLO` begins a session: it is always carried out, and the number after its own is expected
next. Requests of another session than the last `HELLO`'s are ignored, whatever a cable or an
operating system kept of them. Session 0 is that of a device nobody has said `HELLO` to; a host
uses 1 to 255. A request that starts the accelerator waits until all before it are answered, as a
read of memory that has to be repeated would find the accelerator running.

The host may have `window_bytes` of bodies unanswered, and no more than 127 requests; within that
the device loses nothing at line rate. The device keeps a `token` that the host gives it, and which
is zero once the board has been configured: a host that connects again knows by it whether it finds
the memory that it left.

A device begins at `BASE_RATE`. `RATE` is answered at the old rate; from then on both use the new
one. `FALL_BACK` bodies with a failing check or bytes without a stop bit, and no good frame between
them, bring it back to `BASE_RATE`.
"""

from enum import IntEnum

from gcnloom_spec.words import Word

__all__ = [
    "ANSWER",
    "BASE_RATE",
    "CHECK_BYTES",
    "ESCAPE",
    "ESCAPED",
    "FALL_BACK",
    "FLAG",
    "GREETING",
    "LINK_VERSION",
    "MOST_UNANSWERED",
    "RATES",
    "RATE_BITS",
    "REQUEST",
    "Outcome",
    "Request",
    "rate_increment",
]

LINK_VERSION = 1
FLAG, ESCAPE, ESCAPED = 0x7E, 0x7D, 0x20
CHECK_BYTES = 4
MOST_UNANSWERED = 127
BASE_RATE = 115_200
RATES = (3_000_000, 2_000_000, 1_000_000, 500_000, 115_200)
"""Bauds that a host tries, fastest first."""
RATE_BITS = 20
"""A UART adds its increment to a counter of so many bits every clock; a bit of the line is one
overflow."""
FALL_BACK = 32


class Request(IntEnum):
    """What the host asks."""

    HELLO = 1
    """Begin a session; answered by a `GREETING`. With a count of 1, keep `address` as the token
    (the greeting still has the one before)."""
    READ_MEMORY = 2
    """Read `count` words of device memory from word `address` on; answered by them. Refused as
    `BUSY` while the accelerator runs."""
    WRITE_MEMORY = 3
    """Write the payload, `count` words, from word `address` on. `BUSY` as above."""
    READ_REGISTERS = 4
    """Read `count` registers from `address` on; answered by 4 bytes each."""
    WRITE_REGISTERS = 5
    """Write `count` registers from `address` on, 4 bytes of payload each."""
    RATE = 6
    """Use the increment `address`, see :func:`rate_increment`, once this is answered."""


class Outcome(IntEnum):
    """What became of a request."""

    DONE = 0
    AGAIN = 1
    """A request before it was lost; the answer's sequence number is the one expected."""
    BUSY = 2
    """Nothing was done, for the accelerator is running."""
    REFUSED = 3
    """Nothing was done: kind, count and payload do not fit each other or the device."""


REQUEST = Word("request", {"kind": 8, "session": 8, "sequence": 8, "count": 16, "address": 32})
"""Header of a request."""
ANSWER = Word("answer", {"kind": 8, "session": 8, "sequence": 8, "outcome": 8})
"""Header of an answer: kind, session and sequence number of its request."""
GREETING = Word(
    "greeting",
    {
        "link_version": 8,
        "isa_version": 8,
        "memory_bytes": 16,
        "digest_low": 32,
        "digest_high": 32,
        "memory_words": 32,
        "clock_hz": 32,
        "payload_bytes": 16,
        "window_bytes": 16,
        "token": 32,
    },
)
"""Payload of the answer to a `HELLO`: what the device is, the most bytes of payload in a request
and in an answer, and the most bytes of bodies that may be unanswered."""


def rate_increment(rate: int, clock_hz: int) -> int:
    """Return what a UART in a clock of `clock_hz` adds for `rate` bauds.

    Raises
    ------
    ValueError
        The rate is more than a quarter of the clock, or too slow to be told from zero.
    """
    increment = round(rate * (1 << RATE_BITS) / clock_hz)
    if not 0 < increment <= 1 << (RATE_BITS - 2):
        raise ValueError(
            f"{rate} baud cannot be made from a clock of {clock_hz} Hz; "
            f"try {BASE_RATE} to {clock_hz // 4} baud"
        )
    return increment
