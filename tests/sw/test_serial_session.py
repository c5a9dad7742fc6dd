# SPDX-License-Identifier: Apache-2.0
"""What is asked over a serial link is done, in order and not twice, whatever the line does."""

import random

import pytest

from gcnloom.errors import DeviceError
from gcnloom.transport.serial.channel import LostError
from gcnloom.transport.serial.messages import (
    read_memory,
    read_registers,
    write_memory,
    write_registers,
)
from gcnloom.transport.serial.rates import ladder
from gcnloom.transport.serial.session import Session, UnsureError
from gcnloom_sim.link_channel import MemoryChannel
from gcnloom_spec.link import BASE_RATE, Request
from gcnloom_spec.registers import REGISTERS, Control
from tests.sw.serial_link import BAUD, CONFIG, WORDS, board, faulty

START = write_registers(REGISTERS["control"].address, [Control.RUN])
WORD = CONFIG.memory_bytes


class Line(MemoryChannel):
    """A line that does to what goes over it what a test says."""

    def __init__(self, device, rate=BAUD):
        super().__init__(device, rate)
        self.there = lambda data: data
        self.back = lambda data: data

    def write(self, data):
        super().write(self.there(data))

    def read(self, seconds):
        return self.back(super().read(seconds))


def write(session, address, data):
    session.exchange(list(write_memory(address, data, session.greeting)))


def read(session, address, words):
    return b"".join(session.exchange(list(read_memory(address, words, session.greeting))))


def only(times, action):
    """Apply `action` to the next bytes, so many times, and then nothing."""
    left = [times]

    def act(data):
        if not data or not left[0]:
            return data
        left[0] -= 1
        return action(data)

    return act


def test_memory_reads_as_it_was_written_and_nothing_is_sent_twice():
    device = board()
    line = MemoryChannel(device, BAUD)
    session = Session(line, BAUD)
    before = session.tally.resent
    data = random.Random(1).randbytes(300 * WORD)
    write(session, 7, data)
    assert read(session, 7, 300) == data
    assert device.registers.model.read(7, 300) == data
    assert session.tally.resent == before
    assert device.executed[Request.WRITE_MEMORY] == -(-len(data) // 512)


def test_the_window_is_kept_and_used():
    """Bodies between two looks at the answers fill the window, and do not go beyond."""
    device = board(payload_bytes=64, window_bytes=500)
    line = Line(device)
    session = Session(line, BAUD)
    bursts = []
    line.there = lambda data: bursts.append(len(data.strip(b"\x7e"))) or data
    write(session, 0, bytes(4000 * WORD // WORD * WORD))
    assert 500 - 77 < max(bursts) <= 500 + 6  # six flags between seven bodies


def test_no_more_requests_are_unanswered_than_their_numbers_tell_apart():
    device = board(payload_bytes=8, window_bytes=60_000)
    line = Line(device)
    session = Session(line, BAUD)
    bursts = []
    line.there = lambda data: bursts.append(data.count(b"\x7e") - 1) or data
    data = random.Random(6).randbytes(1000 * WORD)
    write(session, 0, data)
    assert read(session, 0, 1000) == data
    assert max(bursts) == 127


@pytest.mark.parametrize("way", ["there", "back"])
@pytest.mark.parametrize("place", [0, 1, 20, 200, -1])
def test_one_lost_byte_costs_one_repetition(way, place):
    device = board()
    line = Line(device)
    session = Session(line, BAUD)
    data = random.Random(2).randbytes(256 * WORD)

    def drop(data):
        return data[:place] + data[place:][1:]

    setattr(line, way, only(1, drop))
    write(session, 0, data)
    setattr(line, way, only(1, drop))
    assert read(session, 0, 256) == data
    assert session.tally.sessions == 2  # one at each rate


def test_a_start_whose_answer_is_lost_is_not_done_twice():
    device = board()
    line = Line(device)
    session = Session(line, BAUD)
    line.back = only(2, lambda data: b"")
    session.once(START)
    assert device.registers.runs == 1


def test_a_start_that_is_lost_is_done():
    device = board()
    line = Line(device)
    session = Session(line, BAUD)
    line.there = only(2, lambda data: b"")
    session.once(START)
    assert device.registers.runs == 1


def test_a_start_outlives_an_unplugged_cable_and_a_fall_back():
    device = board()
    line = Line(device)
    session = Session(line, BAUD)

    def unplug(data):
        raise LostError("unplugged")

    line.back = only(1, unplug)
    line.there = only(1, lambda data: device.receive_noise(40) or data)
    session.once(START)
    assert device.registers.runs == 1
    assert session.tally.reopened == 1
    assert session.exchange([read_registers(0, 1)])
    assert session.rate == BAUD
    assert device.hears(BAUD)


def test_a_start_of_which_the_device_knows_nothing_any_more_is_not_guessed_about():
    """Another session, with the same token, is all that is there when the start is answered."""
    device = board()
    line = Line(device)
    session = Session(line, BAUD, hope=2)

    def forget(data):
        device._session = 0
        return data

    line.there = forget
    with pytest.raises(UnsureError, match="not known whether the device did write registers 4"):
        session.once(START)


@pytest.mark.parametrize(("token", "what"), [(0, "configured anew"), (9, "another program")])
def test_a_board_that_lost_its_memory_is_an_error(token, what):
    device = board()
    line = Line(device)
    session = Session(line, BAUD)
    write(session, 0, bytes(WORD))
    device.configure()
    device._token = token
    with pytest.raises(DeviceError, match=what):
        read(session, 0, 1)
    with pytest.raises(DeviceError, match=what):
        read(session, 0, 1)


def test_silence_ends_in_an_error_and_no_call_waits_again():
    device = board()
    line = Line(device)
    session = Session(line, BAUD)
    line.there = lambda data: b""
    with pytest.raises(DeviceError, match="not answered for 12 s"):
        read(session, 0, 1)
    before = line.now()
    with pytest.raises(DeviceError, match="not answered for 12 s"):
        read(session, 0, 1)
    assert line.now() - before < 1


def test_nothing_at_the_other_end_is_an_error_at_once():
    line = Line(board())
    line.there = lambda data: b""
    with pytest.raises(DeviceError, match="nothing answers at 3000000 or 115200 baud"):
        Session(line, BAUD)
    assert line.now() < 3


def test_statistics_are_not_mixed_up_by_a_lost_answer():
    """Reads between writes of what is to be read are never repeated out of their order."""
    device = board()
    tensors = {"now": 0}
    device.registers.read = lambda address: tensors["now"] * 3 + address
    device.registers.write = lambda address, value: tensors.update(now=value)
    for seed in range(30):
        session = Session(faulty(device, seed, 300), BAUD)
        asks = []
        for tensor in range(40):
            asks.append(write_registers(10, [tensor]))
            asks.append(read_registers(11, 1, joined=True))
        answers = session.exchange(asks)[1::2]
        assert [int.from_bytes(each, "little") for each in answers] == [
            tensor * 3 + 11 for tensor in range(40)
        ]


@pytest.mark.parametrize("clock", [48_000_000, 12_000_000, 5_000_000, 1_000_000])
def test_rates_are_those_that_the_clock_makes(clock):
    assert ladder(BAUD, clock)[0] == max(
        rate for rate in (3_000_000, 2_000_000, 1_000_000, 500_000, 115_200) if 4 * rate <= clock
    )
    device = board(clock_hz=clock)
    line = MemoryChannel(device, BAUD)
    assert Session(line, BAUD).rate == ladder(BAUD, clock)[0]


def test_a_rate_that_was_asked_for_is_used_though_no_other_host_would_try_it():
    device = board()
    session = Session(MemoryChannel(device, 921_600), 921_600)
    assert session.rate == 921_600
    assert abs(device.rate - 921_600) < 100


def test_a_line_that_is_too_fast_is_slowed_down():
    device = board()
    line = Line(device)
    flips = random.Random(3)

    def noisy(data):
        if not data or line._rate <= 1_000_000 or flips.random() > 0.3:
            return data
        return data[:-3] + b"\x00" + data[-2:]

    line.there = noisy
    session = Session(line, BAUD)
    for start in range(0, 10_000, 50):
        write(session, start, bytes(50 * WORD))
    assert BASE_RATE <= session.rate <= 1_000_000


@pytest.mark.parametrize("seed", range(12))
def test_bytes_survive_thousands_of_faults(seed):
    rng = random.Random(seed)
    channel = faulty(board(), seed, 400)
    session = Session(channel, BAUD)
    memory = bytearray(WORDS * WORD)
    while channel.faults.total() < 400:
        at, words = rng.randrange(WORDS - 200), rng.randint(1, 200)
        data = rng.randbytes(words * WORD)
        write(session, at, data)
        memory[at * WORD : (at + words) * WORD] = data
        at, words = rng.randrange(WORDS - 200), rng.randint(1, 200)
        assert read(session, at, words) == bytes(memory[at * WORD : (at + words) * WORD])
