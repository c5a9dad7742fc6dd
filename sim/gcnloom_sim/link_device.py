# SPDX-License-Identifier: Apache-2.0
"""A device behind a serial line, byte for byte after the link's contract, with a model inside."""

import zlib
from collections.abc import Callable

from gcnloom_sim.link_registers import ModelRegisters
from gcnloom_spec.config import AcceleratorConfig
from gcnloom_spec.isa import ISA_VERSION
from gcnloom_spec.link import (
    ANSWER,
    BASE_RATE,
    ESCAPE,
    ESCAPED,
    FALL_BACK,
    FLAG,
    GREETING,
    LINK_VERSION,
    RATE_BITS,
    REQUEST,
    Outcome,
    Request,
)
from gcnloom_spec.words import Word

__all__ = ["LinkDevice"]

CLOCK_HZ = 48_000_000
MOST_OFF = 0.02
HEADER = REQUEST.width // 8


class LinkDevice:
    """What answers at the far end of a line; shares nothing with the host's side.

    Parameters
    ----------
    config : AcceleratorConfig
    memory_words : int
    payload_bytes, window_bytes : int
        What its greeting says.
    clock_hz : int

    Attributes
    ----------
    rate : int
        Bauds in use.
    executed : dict[Request, int]
        How often each kind was carried out.
    registers : ModelRegisters
    """

    def __init__(
        self, config: AcceleratorConfig, memory_words: int, *, payload_bytes: int = 512,
        window_bytes: int = 2048, clock_hz: int = CLOCK_HZ,
    ) -> None:  # fmt: skip
        self._config, self._memory_words = config, memory_words
        self._payload_bytes, self._window_bytes = payload_bytes, window_bytes
        self._clock_hz = clock_hz
        self.configure()

    def configure(self) -> None:
        """Begin as a board does whose configuration has been loaded: nothing is remembered."""
        self.registers = ModelRegisters(self._config, self._memory_words)
        self.rate = BASE_RATE
        self.executed = dict.fromkeys(Request, 0)
        self._next_rate: int | None = None
        self._token = 0
        self._session = 0
        self._expected = 0
        self._bad = 0
        self._body = bytearray()
        self._escaping = self._broken = False

    def receive(self, data: bytes) -> bytes:
        """Take bytes that came at the device's own rate; return those that it sends."""
        sent = bytearray()
        for byte in data:
            if byte == FLAG:
                if self._body or self._broken:
                    sent += self._ended(bytes(self._body))
                self._body.clear()
                self._escaping = self._broken = False
                if self._next_rate:
                    break
            elif byte == ESCAPE:
                self._escaping = True
            elif len(self._body) > HEADER + self._payload_bytes + 4:
                self._broken = True
            else:
                self._body.append(byte ^ ESCAPED if self._escaping else byte)
                self._escaping = False
        return bytes(sent)

    def hears(self, rate: int) -> bool:
        """Whether bytes at that rate are bytes to it, and its own are to others at that rate."""
        return abs(rate - self.rate) < MOST_OFF * self.rate

    def settle(self) -> None:
        """Use the rate that was asked for, once the answer has left."""
        if self._next_rate:
            self.rate, self._next_rate = self._next_rate, None

    def receive_noise(self, count: int) -> None:
        """Take bytes without a stop bit, such as those sent at another rate."""
        self._broken = True
        self._blame(count)

    def _blame(self, count: int) -> None:
        self._bad += count
        if self._bad >= FALL_BACK:
            self._bad, self.rate = 0, BASE_RATE

    def _ended(self, checked: bytes) -> bytes:
        body, check = checked[:-4], int.from_bytes(checked[-4:], "little")
        sized = HEADER <= len(body) <= self._window_bytes - 4 and len(body) % 4 == HEADER % 4
        if self._broken or self._escaping or not sized or zlib.crc32(body) != check:
            self._blame(1)
            return self._again()
        self._bad = 0
        asked = _fields(REQUEST, body[:HEADER])
        payload = body[HEADER:]
        if asked["kind"] == Request.HELLO:
            self._session, self._expected = asked["session"], asked["sequence"]
        elif asked["session"] != self._session:
            return b""
        ahead = (asked["sequence"] - self._expected) & 0xFF
        if 0 < ahead < 129:
            return self._again()
        reads = asked["kind"] in (Request.READ_MEMORY, Request.READ_REGISTERS)
        outcome, answer = Outcome.DONE, b""
        if ahead == 0 or reads:
            outcome, answer = self._carry_out(asked, payload)
        if ahead == 0 and outcome == Outcome.DONE:
            self._expected = (self._expected + 1) & 0xFF
        return self._answer(asked["kind"], asked["sequence"], outcome, answer)

    def _again(self) -> bytes:
        return self._answer(0, self._expected, Outcome.AGAIN, b"")

    def _answer(self, kind: int, sequence: int, outcome: Outcome, payload: bytes) -> bytes:
        header = _word(ANSWER, kind=kind, session=self._session, sequence=sequence, outcome=outcome)
        body = header + payload
        sent = bytearray([FLAG])
        for byte in body + zlib.crc32(body).to_bytes(4, "little"):
            sent += bytes([ESCAPE, byte ^ ESCAPED] if byte in (FLAG, ESCAPE) else [byte])
        sent.append(FLAG)
        return bytes(sent)

    def _carry_out(self, asked: dict[str, int], payload: bytes) -> tuple[Outcome, bytes]:
        try:
            kind = Request(asked["kind"])
        except ValueError:
            return Outcome.REFUSED, b""
        actions: dict[Request, Callable[[int, int, bytes], tuple[Outcome, bytes]]] = {
            Request.HELLO: self._hello,
            Request.READ_MEMORY: self._read_memory,
            Request.WRITE_MEMORY: self._write_memory,
            Request.READ_REGISTERS: self._read_registers,
            Request.WRITE_REGISTERS: self._write_registers,
            Request.RATE: self._change_rate,
        }
        outcome, answer = actions[kind](asked["address"], asked["count"], payload)
        if outcome == Outcome.DONE:
            self.executed[kind] += 1
        return outcome, answer

    def _hello(self, address: int, count: int, payload: bytes) -> tuple[Outcome, bytes]:
        if count > 1 or payload:
            return Outcome.REFUSED, b""
        digest = int(self._config.digest, 16)
        greeting = _word(
            GREETING, link_version=LINK_VERSION, isa_version=ISA_VERSION,
            memory_bytes=self._config.memory_bytes, digest_low=digest & 0xFFFFFFFF,
            digest_high=digest >> 32, memory_words=self._memory_words, clock_hz=self._clock_hz,
            payload_bytes=self._payload_bytes, window_bytes=self._window_bytes, token=self._token,
        )  # fmt: skip
        if count:
            self._token = address
        return Outcome.DONE, greeting

    def _fits(self, address: int, count: int, size: int) -> bool:
        return 0 < count * size <= self._payload_bytes and address + count <= self._memory_words

    def _read_memory(self, address: int, count: int, payload: bytes) -> tuple[Outcome, bytes]:
        if payload or not self._fits(address, count, self._config.memory_bytes):
            return Outcome.REFUSED, b""
        if self.registers.running:
            return Outcome.BUSY, b""
        return Outcome.DONE, self.registers.model.read(address, count)

    def _write_memory(self, address: int, count: int, payload: bytes) -> tuple[Outcome, bytes]:
        size = self._config.memory_bytes
        if len(payload) != count * size or not self._fits(address, count, size):
            return Outcome.REFUSED, b""
        if self.registers.running:
            return Outcome.BUSY, b""
        self.registers.model.write(address, payload)
        return Outcome.DONE, b""

    def _read_registers(self, address: int, count: int, payload: bytes) -> tuple[Outcome, bytes]:
        if payload or not 0 < 4 * count <= self._payload_bytes or address + count > 256:
            return Outcome.REFUSED, b""
        values = [self.registers.read(address + i) for i in range(count)]
        return Outcome.DONE, b"".join(value.to_bytes(4, "little") for value in values)

    def _write_registers(self, address: int, count: int, payload: bytes) -> tuple[Outcome, bytes]:
        if len(payload) != 4 * count or not count or address + count > 256:
            return Outcome.REFUSED, b""
        for i in range(count):
            value = int.from_bytes(payload[4 * i : 4 * i + 4], "little")
            self.registers.write(address + i, value)
        return Outcome.DONE, b""

    def _change_rate(self, increment: int, count: int, payload: bytes) -> tuple[Outcome, bytes]:
        if payload or not 0 < increment <= 1 << (RATE_BITS - 2):
            return Outcome.REFUSED, b""
        self._next_rate = increment * self._clock_hz >> RATE_BITS
        return Outcome.DONE, b""


def _word(word: Word, **values: int) -> bytes:
    bits = 0
    for name, value in values.items():
        bits |= value << word.offsets[name]
    return bits.to_bytes(word.width // 8, "little")


def _fields(word: Word, data: bytes) -> dict[str, int]:
    bits = int.from_bytes(data, "little")
    return {name: (bits >> word.offsets[name]) % (1 << size) for name, size in word.fields.items()}
