# SPDX-License-Identifier: Apache-2.0
"""A training over a serial link ends with the bits of any other, or with a clear error."""

import signal

import numpy as np
import pytest

from gcnloom.device import Device
from gcnloom.errors import ConfigError, DeviceError
from gcnloom.transport import configuration
from gcnloom.transport.serial import open_channel, open_serial
from gcnloom.transport.serial.session import UnsureError
from gcnloom_sim.link_channel import KINDS, MemoryChannel
from gcnloom_sim.link_device import LinkDevice
from gcnloom_sim.model import Model
from gcnloom_spec.link import Outcome
from gcnloom_spec.registers import REGISTERS, Control, Status
from tests.sw.serial_link import (
    BAUD,
    CONFIG,
    WORDS,
    board,
    expected_weights,
    faulty,
    opened,
    pty,
    train,
)


@pytest.fixture(scope="module")
def expected():
    return expected_weights()


@pytest.mark.parametrize("sizes", [{}, {"payload_bytes": 128, "window_bytes": 160}])
def test_a_training_has_the_bits_of_the_model(expected, sizes):
    device = board(**sizes)
    assert train(opened(device)) == expected


def test_a_training_over_a_pseudo_terminal_has_the_bits_of_the_model(expected):
    with pty(board()) as port:
        transport = open_serial(CONFIG, location=port)
        assert transport.rate == BAUD
        assert train(transport) == expected


@pytest.mark.parametrize("seed", range(4))
def test_trainings_survive_faults_with_the_same_bits(expected, seed):
    channel = faulty(board(payload_bytes=64, window_bytes=300), seed, 150)
    assert train(open_channel(channel, CONFIG, baud=BAUD)) == expected
    assert channel.faults.total() > 300
    assert channel.faults.keys() >= set(KINDS) - {"disconnect"}


def test_what_a_run_leaves_is_what_the_model_leaves():
    rng = np.random.default_rng(0)
    left, right = rng.integers(-99, 99, (9, 7)), rng.integers(-99, 99, (7, 5))
    results = []
    for transport in (Model(CONFIG, WORDS), opened(board())):
        with Device(transport) as device:
            product = device.gemm(left, right)
            results.append((product, transport.counters(), *transport.statistics()))
            results[-1] += (transport.scales(),)
    for ours, theirs in zip(*results, strict=True):
        np.testing.assert_equal(ours, theirs)
    np.testing.assert_array_equal(results[0][0], left @ right)


def test_an_interruption_ends_the_run_after_an_epoch(expected):
    """Ctrl-C while the run is under way: the device is asked to finish, and does."""
    device = board()
    transport = opened(device)
    write = device.registers.write

    def interrupting(address, value):
        write(address, value)
        if address == REGISTERS["control"].address and value & Control.RUN and watched:
            signal.raise_signal(signal.SIGINT)

    watched = []
    begin = transport.run

    def run(*arguments, watch=None, **options):
        if watch:
            watched.append(1)
        return begin(*arguments, watch=watch, **options)

    transport.run = run
    device.registers.write = interrupting
    seen = []
    with pytest.raises(KeyboardInterrupt):
        train(transport, seen.append)
    assert [epoch.loss for epoch in seen] == expected[1][:1]
    assert not device.registers.running


def test_a_run_that_another_program_left_is_abandoned():
    device = board()
    device.registers.write(REGISTERS["control"].address, Control.RUN)
    assert device.registers.running
    transport = opened(device)
    assert not device.registers.running
    transport.write(0, bytes(CONFIG.memory_bytes))


def test_a_device_that_does_not_stop_is_an_error_and_no_hang():
    device = board()
    device.registers.read = lambda address: Status.RUNNING
    with pytest.raises(DeviceError, match="still waits for its memory"):
        opened(device)


@pytest.mark.parametrize(
    ("status", "what"),
    [
        (Status.FAULT, "unknown opcode after 0 of 2 commands"),
        (Status.HAZARD, "sums may be wrong"),
        (Status.EXPIRED, "the program hangs"),
    ],
)
def test_a_run_that_goes_wrong_says_how(status, what):
    device = board()
    transport = opened(device)
    read = device.registers.read

    def failing(address):
        return int(status) if address == REGISTERS["status"].address else read(address)

    device.registers.read = failing
    with pytest.raises(DeviceError, match=what):
        transport.run(0, 2, 0, 0)


def test_memory_is_not_touched_while_a_run_is_under_way():
    device = board()
    transport = opened(device)
    device.registers.write(REGISTERS["control"].address, Control.RUN)
    with pytest.raises(DeviceError, match=r"is running and did not read memory 3\.\.4"):
        transport.read(3, 2)


@pytest.mark.parametrize(("address", "words"), [(-1, 1), (WORDS, 1), (WORDS - 1, 2)])
def test_words_outside_the_memory_are_refused(address, words):
    with pytest.raises(DeviceError, match=f"outside the device memory of {WORDS} words"):
        opened(board()).read(address, words)


def test_parts_of_words_are_refused():
    with pytest.raises(DeviceError, match="3 bytes are not whole words of 8"):
        opened(board()).write(0, b"abc")


def test_the_line_is_left_alone_during_a_long_run():
    """A run of ten seconds is looked at a few hundred times, not tens of thousands."""
    device = board()
    line = MemoryChannel(device, BAUD)
    transport = open_channel(line, CONFIG, baud=BAUD)
    read, looks = device.registers.read, []

    def running(address):
        if address != REGISTERS["status"].address:
            return read(address)
        looks.append(line.now())
        return int(Status.RUNNING) if line.now() < 10 else 0

    device.registers.read = running
    transport.run(0, 0, 0, 0)
    assert 50 < len(looks) < 400
    assert line.now() < 10.1


def test_a_board_of_another_configuration_is_an_error():
    with pytest.raises(DeviceError, match=f"built for configuration {CONFIG.digest}"):
        open_channel(MemoryChannel(board(), BAUD), configuration("smallest"), baud=BAUD)


@pytest.mark.parametrize("option", [{"memory_megabytes": 8}, {"memory": "ideal"}])
def test_a_board_has_the_memory_that_it_has(option):
    with pytest.raises(ConfigError, match=f"try without {next(iter(option))}"):
        open_serial(location="/dev/null", **option)


@pytest.mark.parametrize("words", [700, 1000])
def test_a_board_with_little_memory_is_a_window_on_the_hosts(expected, words):
    """Programs run in segments, whose statistics go on from one to the next."""
    device = LinkDevice(CONFIG, words)
    assert train(opened(device)) == expected
    assert device.registers.runs > 20


@pytest.mark.parametrize("began", [True, False])
def test_registers_tell_whether_a_forgotten_start_was_done(began):
    """The session is forgotten with the start in it; a run that is there is gone on with."""
    device = board()
    transport = opened(device, hope=2)
    change = device._write_registers

    def forgetful(address, count, payload):
        if address == REGISTERS["control"].address and payload[0] & Control.RUN:
            if began:
                change(address, count, payload)
            device._session = 0
        else:
            return change(address, count, payload)
        return Outcome.DONE, b""

    device._write_registers = forgetful
    if began:
        assert transport.run(0, 0, 0, 5).step == 5
    else:
        with pytest.raises(UnsureError, match="not known whether"):
            transport.run(0, 0, 0, 5)
    assert device.registers.runs == began
