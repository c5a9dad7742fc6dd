# SPDX-License-Identifier: Apache-2.0
"""LinkConfig: what a link's device side is made from, and what it says of itself."""

from dataclasses import dataclass

from gcnloom_spec.isa import ISA_VERSION
from gcnloom_spec.link import (
    BASE_RATE,
    CHECK_BYTES,
    GREETING,
    LINK_VERSION,
    REQUEST,
    rate_increment,
)

__all__ = ["HEADER_BYTES", "UNIT", "LinkConfig"]

HEADER_BYTES = REQUEST.width // 8
UNIT = 4
"""Payloads are counted in so many bytes."""
MOST_PAYLOAD = 255 * UNIT
LEAST_BODY = HEADER_BYTES + CHECK_BYTES


@dataclass(frozen=True, kw_only=True)
class LinkConfig:
    """Everything that a link's device side is made from.

    Parameters
    ----------
    memory_bytes, memory_words : int
        Bytes of a word of the device memory, and how many words it has.
    clock_hz : int
    digest : str
        Of the accelerator's configuration.
    buffer_bytes : int
        Of requests that wait to be carried out, a power of two.
    payload_bytes : int
        Most bytes of payload of a request and of an answer, at most 1020.
    """

    memory_bytes: int
    memory_words: int
    clock_hz: int
    digest: str
    buffer_bytes: int = 1024
    payload_bytes: int = 256

    def __post_init__(self) -> None:
        size = self.memory_bytes
        if size & (size - 1) or not UNIT <= size <= 256:
            raise ValueError(f"memory_bytes={size} is not a power of two in {UNIT}..256; try 16")
        if self.memory_words < 1:
            raise ValueError(f"memory_words={self.memory_words} is no memory; try 4096")
        if self.buffer_bytes & (self.buffer_bytes - 1) or not 64 <= self.buffer_bytes <= 1 << 15:
            raise ValueError(
                f"buffer_bytes={self.buffer_bytes} is not a power of two in 64..32768; try 1024"
            )
        most = min(self.window_bytes - LEAST_BODY, MOST_PAYLOAD) // size * size
        if not size <= self.payload_bytes <= most or self.payload_bytes % UNIT:
            raise ValueError(
                f"payload_bytes={self.payload_bytes} is not a multiple of {UNIT} in {size}..{most} "
                f"with buffer_bytes={self.buffer_bytes}; try {most}"
            )
        rate_increment(BASE_RATE, self.clock_hz)

    @property
    def window_bytes(self) -> int:
        """Bytes of bodies that always find room: each takes one more for its length."""
        return (self.buffer_bytes - 1) * LEAST_BODY // (LEAST_BODY + 1)

    @property
    def address_bits(self) -> int:
        """Bits of an address that count words of memory, or registers."""
        return max(8, (self.memory_words - 1).bit_length())

    @property
    def base_increment(self) -> int:
        """What a UART adds at :data:`~gcnloom_spec.link.BASE_RATE`."""
        return rate_increment(BASE_RATE, self.clock_hz)

    @property
    def greeting(self) -> bytes:
        """Payload of a greeting, with a token of zero."""
        digest = int(self.digest, 16)
        values = {
            "link_version": LINK_VERSION,
            "isa_version": ISA_VERSION,
            "memory_bytes": self.memory_bytes,
            "digest_low": digest & 0xFFFFFFFF,
            "digest_high": digest >> 32,
            "memory_words": self.memory_words,
            "clock_hz": self.clock_hz,
            "payload_bytes": self.payload_bytes,
            "window_bytes": self.window_bytes,
        }
        packed = sum(value << GREETING.offsets[name] for name, value in values.items())
        return packed.to_bytes(GREETING.width // 8, "little")
