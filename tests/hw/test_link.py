# SPDX-License-Identifier: Apache-2.0
"""The link's device side against a twin written from the contract."""

import random
from itertools import pairwise

import pytest

from gcnloom_hw.link.config import LinkConfig
from tests.hw.link_bench import Bench
from tests.hw.link_twin import (
    AGAIN,
    BUSY,
    DONE,
    HELLO,
    RATE,
    READ_MEMORY,
    READ_REGISTERS,
    REFUSED,
    WRITE_MEMORY,
    WRITE_REGISTERS,
    Twin,
    body_of,
    framed,
)  # fmt: skip

CLOCK_HZ = 500_000
CLOCKS = CLOCK_HZ / 115_200
SESSION = 77


def config(**changes):
    sizes = {"memory_bytes": 8, "memory_words": 4096, "buffer_bytes": 256, "payload_bytes": 64}
    return LinkConfig(clock_hz=CLOCK_HZ, digest="0123456789abcdef", **sizes | changes)


class Host:
    """Numbers requests and asks the twin what their answers are."""

    def __init__(self, bench):
        self.bench, self.twin = bench, Twin(bench.config)
        self.sequence = 250
        self.expected = []

    def body(self, kind, *, session=SESSION, sequence=None, **fields):
        """Body of the next request, or of another one."""
        if sequence is None:
            sequence, self.sequence = self.sequence, (self.sequence + 1) % 256
        return body_of(kind, session, sequence % 256, **fields)

    def told(self, body):
        answer = self.twin.answer(body)
        if answer is not None:
            self.expected.append(answer)
        return framed(body)

    async def ask(self, kind, **fields):
        """Send one request and wait for its answer; return outcome and payload."""
        await self.bench.line.send(self.told(self.body(kind, **fields)))
        await self.check()
        return self.expected[-1][3], self.expected[-1][4:]

    async def check(self):
        answers = await self.bench.answered(len(self.expected))
        assert [answer.hex() for answer in answers] == [wanted.hex() for wanted in self.expected]

    def same(self):
        assert self.bench.memory == self.twin.memory
        assert self.bench.registers == self.twin.registers


def talk(process, *, clocks=CLOCKS, **changes):
    bench = Bench(config(**changes), clocks=clocks)

    async def all_of_it(bench):
        host = Host(bench)
        await process(bench, host)
        host.same()

    bench.run(all_of_it)


def random_request(rng, twin):
    """Kind and fields of a request that a sane host could send."""
    kind = rng.choice((READ_MEMORY, WRITE_MEMORY, READ_REGISTERS, WRITE_REGISTERS))
    unit = twin.size if kind in (READ_MEMORY, WRITE_MEMORY) else 4
    count = rng.randint(0, twin.config.payload_bytes // unit)
    # Flags and escapes are as likely as all other bytes together.
    payload = bytes(
        rng.choice((0x7D, 0x7E, rng.randrange(256), rng.randrange(256)))
        for _ in range(count * unit)
    )
    return kind, {
        "count": count,
        "address": rng.randrange(40),
        "payload": payload if kind in (WRITE_MEMORY, WRITE_REGISTERS) else b"",
    }


@pytest.mark.parametrize("memory_bytes", [4, 8, 32])
def test_random_requests_at_line_rate_are_all_carried_out(memory_bytes):
    """As many as the window lets through follow each other without a gap."""
    rng = random.Random(memory_bytes)

    async def process(bench, host):
        await host.ask(HELLO)
        for _ in range(2):
            burst, room = b"", bench.config.window_bytes
            while True:
                kind, fields = random_request(rng, host.twin)
                body = body_of(kind, SESSION, host.sequence, **fields)
                if len(body) + 4 > room:
                    break
                room -= len(body) + 4
                host.sequence = (host.sequence + 1) % 256
                burst += host.told(body)
            await bench.line.send(burst)
            await host.check()

    talk(process, memory_bytes=memory_bytes, buffer_bytes=128)


def test_window_of_the_shortest_requests_fits_the_buffer():
    async def process(bench, host):
        await host.ask(HELLO)
        bodies = [host.body(READ_REGISTERS, count=2, address=n) for n in range(9)]
        room = bench.config.window_bytes - sum(len(body) + 4 for body in bodies)
        assert 0 <= room < 13
        await bench.line.send(b"".join(map(host.told, bodies)))
        await host.check()

    talk(process, buffer_bytes=128)


def test_an_answer_has_no_gaps():
    """Though memory, registers and escapes take their time."""

    async def process(bench, host):
        await host.ask(HELLO)
        for kind in (WRITE_MEMORY, WRITE_REGISTERS):
            await host.ask(kind, count=8, payload=bytes(range(0x60, 0xA0))[: 64 - 32 * (kind == 5)])
        for kind in (READ_MEMORY, READ_REGISTERS):
            before = len(bench.received)
            await host.ask(kind, count=8)
            times = bench.arrivals[before:]
            steps = [late - early for early, late in pairwise(times)]
            assert len(steps) > 40
            assert max(steps) <= 10 * CLOCKS + 1

    talk(process)


def test_a_session_keeps_its_token_and_ignores_other_sessions():
    async def process(bench, host):
        _, greeting = await host.ask(HELLO, count=1, address=0x7E7DBEEF)
        assert greeting[24:] == bytes(4)
        await bench.line.send(host.told(host.body(WRITE_REGISTERS, session=5, sequence=0)))
        # One that was ignored has no number.
        _, greeting = await host.ask(HELLO, session=78)
        assert int.from_bytes(greeting[24:], "little") == 0x7E7DBEEF
        payload = b"abcd"
        await bench.line.send(
            host.told(host.body(WRITE_REGISTERS, sequence=host.sequence, count=1, payload=payload))
        )
        outcome, _ = await host.ask(WRITE_REGISTERS, session=78, count=1, payload=payload[::-1])
        assert outcome == DONE

    talk(process)


def test_numbers_around_the_expected_one():
    async def process(bench, host):
        await host.ask(HELLO)
        first = host.sequence
        await host.ask(WRITE_MEMORY, count=1, address=3, payload=b"first wo")
        for behind in (1, 2, 127):
            again = {"sequence": first + 1 - behind, "count": 1, "address": 3}
            outcome, _ = await host.ask(WRITE_MEMORY, payload=b"not this", **again)
            assert outcome == DONE
            outcome, word = await host.ask(READ_MEMORY, **again)
            assert (outcome, word) == (DONE, b"first wo")
        for ahead in (1, 2, 128):
            outcome, _ = await host.ask(
                WRITE_MEMORY, sequence=first + 1 + ahead, count=1, payload=b"nor that"
            )
            assert outcome == AGAIN
        outcome, _ = await host.ask(WRITE_MEMORY, count=1, address=3, payload=b"but this")
        assert outcome == DONE

    talk(process)


def test_memory_is_busy_while_the_accelerator_runs_and_the_number_stays():
    async def process(bench, host):
        await host.ask(HELLO)
        bench.ctx.set(bench.dut.running, 1)
        host.twin.running = True
        sequence = host.sequence
        for kind, payload in ((WRITE_MEMORY, b"8 bytes!"), (READ_MEMORY, b"")):
            outcome, _ = await host.ask(kind, sequence=sequence, count=1, payload=payload)
            assert outcome == BUSY
        bench.ctx.set(bench.dut.running, 0)
        host.twin.running = False
        outcome, _ = await host.ask(WRITE_MEMORY, count=1, payload=b"8 bytes!")
        assert outcome == DONE

    talk(process)


@pytest.mark.parametrize(
    ("kind", "fields"),
    [
        (0, {}), (7, {}), (255, {}),
        (WRITE_MEMORY, {"count": 1, "payload": bytes(4)}),
        (WRITE_MEMORY, {"count": 1, "payload": bytes(12)}),
        (WRITE_MEMORY, {"count": 257, "payload": bytes(8)}),
        (WRITE_REGISTERS, {"count": 2, "payload": bytes(4)}),
        (WRITE_REGISTERS, {"count": 0, "payload": bytes(4)}),
        (READ_MEMORY, {"count": 1, "payload": bytes(8)}),
        (READ_MEMORY, {"count": 128}),
        (READ_REGISTERS, {"count": 256}),
        (RATE, {"address": 0}), (RATE, {"address": 1 << 20}),
    ],
)  # fmt: skip
def test_what_does_not_fit_is_refused_and_changes_nothing(kind, fields):
    async def process(bench, host):
        await host.ask(HELLO)
        outcome, _ = await host.ask(kind, sequence=host.sequence, **fields)
        assert outcome == REFUSED
        outcome, _ = await host.ask(READ_REGISTERS, count=1)
        assert outcome == DONE

    talk(process)
