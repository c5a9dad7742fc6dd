# SPDX-License-Identifier: Apache-2.0
"""CRC-32, a bit a clock: a UART leaves a byte at least forty clocks."""

from amaranth import Mux

__all__ = ["BEGIN", "RESIDUE", "advanced"]

POLYNOMIAL = 0xEDB88320
BEGIN = 0xFFFFFFFF
RESIDUE = 0xDEBB20E3
"""What a right check leaves of any body."""


def advanced(crc, feedback):
    """Return the register a bit later; `feedback` is its lowest bit plus the body's."""
    return (crc >> 1) ^ Mux(feedback, POLYNOMIAL, 0)
