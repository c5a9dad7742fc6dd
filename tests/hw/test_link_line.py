# SPDX-License-Identifier: Apache-2.0
"""The link where the line is not what it should be: garbage, overflows, rates."""

import random

import pytest

from gcnloom_spec.link import FALL_BACK, RATE_BITS, rate_increment
from tests.hw.link_twin import (
    AGAIN,
    DONE,
    HELLO,
    RATE,
    READ_REGISTERS,
    WRITE_MEMORY,
    WRITE_REGISTERS,
    body_of,
    framed,
)  # fmt: skip
from tests.hw.test_link import CLOCK_HZ, CLOCKS, SESSION, talk


def flipped(rng, frame):
    """A frame with one bit of its body changed, its flags whole."""
    while True:
        place = rng.randrange(1, len(frame) - 1)
        byte = frame[place] ^ 1 << rng.randrange(8)
        if byte != 0x7E:
            return frame[:place] + bytes((byte,)) + frame[place + 1 :]


def broken(rng, frame):
    """What an unlucky frame may look like; a flag follows all of them."""
    body = body_of(WRITE_REGISTERS, SESSION, 0, count=1, payload=b"evil")
    return {
        "flip": flipped(rng, frame),
        "short": framed(b"\x05\x4d\x00"),
        "header only": framed(body[:8]),
        "odd payload": framed(body + b"?"),
        "cut": frame[: max(2, len(frame) - 5)] + b"\x7e",
        "overflow": b"\x7e" + bytes(rng.randrange(0x70) for _ in range(300)) + b"\x7e",
        "escaped flag": frame[:-1] + b"\x7d\x7e",
    }


@pytest.mark.parametrize("kind", [*broken(random.Random(0), bytes(20)), "no stop bit"])
def test_a_broken_body_changes_nothing_and_asks_again(kind):
    rng = random.Random(kind)

    async def process(bench, host):
        await host.ask(HELLO)
        wanted = body_of(WRITE_REGISTERS, SESSION, host.sequence, count=1, payload=b"good")
        if kind == "no stop bit":
            await bench.line.byte(0x7E)
            for value in framed(wanted)[1:8]:
                await bench.line.byte(value)
            await bench.line.byte(0x20, stop=0)
            await bench.line.idle(3)
            await bench.line.send(framed(wanted)[9:])
        else:
            await bench.line.send(broken(rng, framed(wanted))[kind])
        answers = await bench.answered(2)
        assert answers[1][1:] == bytes((SESSION, host.sequence, AGAIN))
        host.expected.append(answers[1])
        outcome, _ = await host.ask(WRITE_REGISTERS, count=1, payload=b"good")
        assert outcome == DONE

    talk(process, buffer_bytes=128)


def test_what_waits_survives_a_body_for_which_there_is_no_room():
    async def process(bench, host):
        await host.ask(HELLO)
        bench.held = True
        words = [bytes((n + 1,)) * 8 for n in range(4)]
        bodies = [
            host.body(WRITE_MEMORY, count=1, address=n, payload=word)
            for n, word in enumerate(words)
        ]
        for body in bodies:
            await bench.line.send(host.told(body))
        # As much again as the ring holds, twice; then a body that is right and does not fit.
        await bench.line.send(bytes(250) + framed(body_of(HELLO, 9, 9, payload=bytes(100))))
        await bench.line.idle(5)
        bench.held = False
        answers = await bench.answered(6)
        assert answers[-1][1:] == bytes((SESSION, host.sequence, AGAIN))
        host.expected.append(answers[-1])
        await host.check()

    talk(process, buffer_bytes=128)


def test_empty_frames_and_flags_shared_by_two_frames_are_no_news():
    async def process(bench, host):
        await bench.line.send(b"\x7e\x7e\x7e" + host.told(host.body(HELLO)) + b"\x7e")
        await host.check()
        bodies = [host.body(READ_REGISTERS, count=1, address=n) for n in range(3)]
        shared = b"".join(host.told(body)[:-1] for body in bodies) + b"\x7e"
        await bench.line.send(shared)
        await host.check()

    talk(process)


def test_a_rate_is_used_once_its_request_is_answered():
    async def process(bench, host):
        await host.ask(HELLO)
        slow = 2 * CLOCKS
        await host.ask(RATE, address=round((1 << RATE_BITS) / slow))
        await bench.line.idle(40)
        bench.line.clocks = slow
        outcome, _ = await host.ask(READ_REGISTERS, count=2)
        assert outcome == DONE

    talk(process)


def test_a_device_nobody_understands_falls_back():
    async def process(bench, host):
        await host.ask(HELLO)
        await host.ask(RATE, address=round((1 << RATE_BITS) / (2 * CLOCKS)))
        await bench.line.idle(40)
        bench.line.clocks = 2 * CLOCKS
        bench.line.strict = False
        for failures in (FALL_BACK - 1, FALL_BACK):
            for _ in range(failures):
                await bench.line.send(b"\x55\x7e")
            await bench.line.idle(150)
            if failures < FALL_BACK:
                # Something good between failures: they are counted anew.
                await bench.line.send(host.told(host.body(READ_REGISTERS)))
                await bench.line.idle(300)
        bench.line.clocks = CLOCKS
        del bench.received[:]
        host.expected.clear()
        outcome, _ = await host.ask(READ_REGISTERS, count=1)
        assert outcome == DONE

    talk(process)


def test_base_rate_is_what_the_contract_says():
    assert abs((1 << RATE_BITS) / rate_increment(115_200, CLOCK_HZ) - CLOCKS) < 1e-3
