# SPDX-License-Identifier: Apache-2.0
"""Frames carry any bytes, and come out of any garbage."""

import random

import pytest

from gcnloom.transport.serial.frames import Deframer, framed

SPECIAL = bytes([0x7E, 0x7D, 0x5E, 0x5D, 0x20, 0x00])


def crc(data):
    """CRC-32 of IEEE 802.3, bit by bit as its polynomial says."""
    remainder = 0xFFFFFFFF
    for byte in data:
        remainder ^= byte
        for _ in range(8):
            remainder = remainder >> 1 ^ (0xEDB88320 if remainder & 1 else 0)
    return (remainder ^ 0xFFFFFFFF).to_bytes(4, "little")


def by_hand(body):
    stuffed = bytearray()
    for byte in body + crc(body):
        stuffed += bytes([0x7D, byte ^ 0x20]) if byte in (0x7E, 0x7D) else bytes([byte])
    return b"\x7e" + bytes(stuffed) + b"\x7e"


def bodies(seed, count=30):
    rng = random.Random(seed)
    return [
        bytes(rng.choices(SPECIAL, k=size)) if size % 2 else rng.randbytes(size)
        for size in (rng.randint(1, 60) for _ in range(count))
    ]


@pytest.mark.parametrize("body", [b"a", SPECIAL, b"\x7e" * 9, b"\x7d" * 9, *bodies(1)])
def test_a_frame_is_what_the_contract_says(body):
    assert framed([body]) == by_hand(body)
    assert Deframer().feed(by_hand(body)) == [body]


def test_neighbours_share_a_flag():
    first, second = bodies(2, 2)
    assert framed([first, second]) == by_hand(first) + by_hand(second)[1:]


@pytest.mark.parametrize("piece", [1, 2, 7, 1000])
def test_bodies_come_out_of_pieces_of_any_size(piece):
    sent = bodies(3)
    line = framed(sent)
    deframer, got = Deframer(), []
    for start in range(0, len(line), piece):
        got += deframer.feed(line[start : start + piece])
    assert got == sent
    assert deframer.bad == 0


@pytest.mark.parametrize("seed", range(5))
def test_what_is_damaged_is_lost_and_nothing_else(seed):
    rng = random.Random(seed)
    sent, line, whole = bodies(seed, 60), bytearray(), []
    for body in sent:
        frame = bytearray(framed([body]))
        if rng.random() < 0.5:
            frame[rng.randrange(1, len(frame) - 1)] ^= 1 << rng.randrange(8)
        else:
            whole.append(body)
        line += frame + rng.randbytes(rng.randint(0, 9))
    assert Deframer().feed(bytes(line) + b"\x7e") == whole


def test_endless_noise_is_not_kept():
    deframer = Deframer(longest=100)
    for _ in range(50):
        assert deframer.feed(b"x" * 64) == []
    assert sum(len(piece) for piece in deframer._begun) < 200
    assert deframer.feed(b"\x7e" + framed([b"good"])) == [b"good"]


def test_a_begin_can_be_forgotten():
    deframer = Deframer()
    deframer.feed(framed([b"lost"])[:4])
    deframer.forget()
    assert deframer.feed(framed([b"kept"])) == [b"kept"]
    assert deframer.bad == 0
