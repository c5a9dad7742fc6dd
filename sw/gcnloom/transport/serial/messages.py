# SPDX-License-Identifier: Apache-2.0
"""What the host asks, what the device answers, and what it says of itself."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from gcnloom_spec.link import ANSWER, GREETING, REQUEST, Outcome, Request
from gcnloom_spec.words import Word

__all__ = [
    "ANSWER_BYTES",
    "GREETING_BYTES",
    "REQUEST_BYTES",
    "Answer",
    "Ask",
    "Greeting",
    "hello",
    "read_memory",
    "read_registers",
    "use_rate",
    "write_memory",
    "write_registers",
]

REQUEST_BYTES = REQUEST.width // 8
ANSWER_BYTES = ANSWER.width // 8
GREETING_BYTES = GREETING.width // 8
READS = frozenset({Request.READ_MEMORY, Request.READ_REGISTERS})


def _packed(word: Word, values: Mapping[str, int]) -> bytes:
    # Word.pack is for arrays; a header at a time, whole numbers are ten times as fast.
    bits = sum(value << word.offsets[name] for name, value in values.items())
    return bits.to_bytes(word.width // 8, "little")


def _unpacked(word: Word, data: bytes) -> dict[str, int]:
    bits = int.from_bytes(data[: word.width // 8], "little")
    return {
        name: bits >> word.offsets[name] & ((1 << width) - 1) for name, width in word.fields.items()
    }


@dataclass(frozen=True, kw_only=True)
class Ask:
    """A request, but for its session and number.

    Attributes
    ----------
    kind : Request
    address, count : int
    payload : bytes
    answer_bytes : int
        Of payload that its answer has.
    joined : bool
        It means nothing without the one before it, with which it is asked again.
    """

    kind: Request
    address: int = 0
    count: int = 0
    payload: bytes = b""
    answer_bytes: int = 0
    joined: bool = False

    @property
    def reads(self) -> bool:
        """Whether it changes nothing, and its answer may be another one later."""
        return self.kind in READS

    def body(self, session: int, sequence: int) -> bytes:
        """Return header and payload."""
        header = {
            "kind": self.kind,
            "session": session,
            "sequence": sequence,
            "count": self.count,
            "address": self.address,
        }
        return _packed(REQUEST, header) + self.payload

    def __str__(self) -> str:
        what = self.kind.name.lower().replace("_", " ")
        return f"{what} {self.address}..{self.address + max(self.count, 1) - 1}"


@dataclass(frozen=True, kw_only=True)
class Answer:
    """An answer of the device."""

    kind: int
    session: int
    sequence: int
    outcome: int
    payload: bytes

    @classmethod
    def from_body(cls, body: bytes) -> "Answer | None":
        """Take an answer apart, unless it is too short to be one."""
        if len(body) < ANSWER_BYTES:
            return None
        return cls(**_unpacked(ANSWER, body), payload=body[ANSWER_BYTES:])

    def fits(self, ask: Ask) -> bool:
        """Whether this can be the answer to that request."""
        wanted = ask.answer_bytes if self.outcome == Outcome.DONE else 0
        return self.kind == ask.kind and len(self.payload) == wanted


@dataclass(frozen=True, kw_only=True)
class Greeting:
    """What a device says of itself, see :data:`gcnloom_spec.link.GREETING`."""

    link_version: int
    isa_version: int
    memory_bytes: int
    digest_low: int
    digest_high: int
    memory_words: int
    clock_hz: int
    payload_bytes: int
    window_bytes: int
    token: int

    @classmethod
    def from_payload(cls, payload: bytes) -> "Greeting":
        """Read a greeting."""
        return cls(**_unpacked(GREETING, payload))

    @property
    def digest(self) -> str:
        """Digest of the configuration that the device was built for."""
        return f"{self.digest_high << 32 | self.digest_low:016x}"


def hello(token: int | None = None) -> Ask:
    """Begin a session; leave a token, if there is one."""
    return Ask(
        kind=Request.HELLO, count=int(token is not None), address=token or 0,
        answer_bytes=GREETING_BYTES,
    )  # fmt: skip


def use_rate(increment: int) -> Ask:
    """Change the rate once this is answered."""
    return Ask(kind=Request.RATE, address=increment)


def read_registers(address: int, count: int, *, joined: bool = False) -> Ask:
    """Read neighbouring registers."""
    return Ask(
        kind=Request.READ_REGISTERS, address=address, count=count, answer_bytes=4 * count,
        joined=joined,
    )  # fmt: skip


def write_registers(address: int, values: Sequence[int], *, joined: bool = False) -> Ask:
    """Write neighbouring registers."""
    payload = b"".join(value.to_bytes(4, "little") for value in values)
    return Ask(
        kind=Request.WRITE_REGISTERS, address=address, count=len(values), payload=payload,
        joined=joined,
    )  # fmt: skip


def read_memory(address: int, words: int, greeting: Greeting) -> Iterable[Ask]:
    """Read words of device memory, as many in a request as the device allows."""
    size = greeting.memory_bytes
    most = greeting.payload_bytes // size
    for start in range(address, address + words, most):
        count = min(most, address + words - start)
        yield Ask(kind=Request.READ_MEMORY, address=start, count=count, answer_bytes=count * size)


def write_memory(address: int, data: bytes, greeting: Greeting) -> Iterable[Ask]:
    """Write whole words of device memory, as many in a request as the device allows."""
    size = greeting.memory_bytes
    most = greeting.payload_bytes // size * size
    for start in range(0, len(data), most):
        part = data[start : start + most]
        yield Ask(
            kind=Request.WRITE_MEMORY, address=address + start // size, count=len(part) // size,
            payload=part,
        )  # fmt: skip
