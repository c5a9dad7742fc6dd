# SPDX-License-Identifier: Apache-2.0
"""The link's device as a page of Python, and frames as bytes: written from the contract alone."""

import struct
import zlib

from gcnloom_spec.isa import ISA_VERSION

HELLO, READ_MEMORY, WRITE_MEMORY, READ_REGISTERS, WRITE_REGISTERS, RATE = range(1, 7)
DONE, AGAIN, BUSY, REFUSED = range(4)
READS, WRITES = (READ_MEMORY, READ_REGISTERS), (WRITE_MEMORY, WRITE_REGISTERS)


def body_of(kind, session, sequence, *, count=0, address=0, payload=b""):
    return struct.pack("<BBBHI", kind, session, sequence, count, address) + payload


def checked(body):
    return body + struct.pack("<I", zlib.crc32(body))


def framed(body, *, close=True):
    """Flag, escaped body with its check, flag."""
    escaped = b"".join(
        bytes((0x7D, byte ^ 0x20)) if byte in (0x7D, 0x7E) else bytes((byte,))
        for byte in checked(body)
    )
    return b"\x7e" + escaped + (b"\x7e" if close else b"")


def bodies_in(line):
    """Bodies whose check is right, without it."""
    found = []
    for frame in bytes(line).split(b"\x7e"):
        parts = frame.split(b"\x7d")
        body = parts[0] + b"".join(bytes((part[0] ^ 0x20,)) + part[1:] for part in parts[1:])
        if body:
            assert checked(body[:-4]) == body, body.hex()
            found.append(body[:-4])
    return found


class Twin:
    """A device that understands every body it is given.

    Parameters
    ----------
    config : LinkConfig
        Only for what its greeting says.
    """

    def __init__(self, config):
        self.size = config.memory_bytes
        self.config = config
        self.session = self.expected = self.token = 0
        self.running = False
        self.memory = {}
        self.registers = {}
        self.rate = None

    def answer(self, body):
        """Answer as bytes, or None."""
        kind, session, sequence, count, address = struct.unpack("<BBBHI", body[:9])
        if kind == HELLO:
            self.session, self.expected = session, (sequence + 1) % 256
            greeting = self.greeting()
            self.token = address if count == 1 else self.token
            return self.headed(kind, sequence, DONE, greeting)
        if session != self.session:
            return None
        ahead = (sequence - self.expected) % 256
        if 1 <= ahead <= 128:
            return self.headed(kind, self.expected, AGAIN)
        if ahead and kind not in READS:
            return self.headed(kind, sequence, DONE)
        outcome, payload = self.carry_out(kind, count, address, body[9:])
        if outcome == DONE and not ahead:
            self.expected = (self.expected + 1) % 256
        return self.headed(kind, sequence, outcome, payload)

    def headed(self, kind, sequence, outcome, payload=b""):
        return bytes((kind, self.session, sequence, outcome)) + payload

    def carry_out(self, kind, count, address, payload):
        unit = self.size if kind in (READ_MEMORY, WRITE_MEMORY) else 4
        wanted = unit * count if kind in WRITES else 0
        known = kind in READS or kind in WRITES or (kind == RATE and address % (1 << 20))
        if not known or unit * count > 1020 or wanted != len(payload):
            return REFUSED, b""
        if kind in (READ_MEMORY, WRITE_MEMORY) and self.running:
            return BUSY, b""
        if kind == RATE:
            self.rate = address
            return DONE, b""
        place = self.memory if unit == self.size and kind in (2, 3) else self.registers
        if kind in READS:
            words = [place.get(address + i, bytes(unit)) for i in range(count)]
            return DONE, b"".join(words)
        for i in range(count):
            place[address + i] = payload[i * unit : (i + 1) * unit]
        return DONE, b""

    def greeting(self):
        c, digest = self.config, int(self.config.digest, 16)

        return struct.pack(
            "<BBHQIIHHI", 1, ISA_VERSION, c.memory_bytes, digest, c.memory_words, c.clock_hz,
            c.payload_bytes, c.window_bytes, self.token,
        )  # fmt: skip
