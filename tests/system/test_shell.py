# SPDX-License-Identifier: Apache-2.0
"""The host driver, unchanged, and the Verilated shell, whose UART pins toggle clock by clock."""

import threading
import time

import pytest

from gcnloom.device import Device
from gcnloom.errors import DeviceError
from gcnloom.training.device_trainer import trainer_for
from gcnloom.training.options import Options
from gcnloom.training.trainer import weights_sha256
from gcnloom.transport import configuration
from gcnloom.transport.serial import open_serial
from gcnloom_sim.model import Model
from gcnloom_sim.shell import Faults, open_shell
from gcnloom_spec.link import RATES
from tests.sw.graphs import block_model

pytestmark = pytest.mark.sim

CONFIG = configuration("smallest")
WORDS = 1 << 14
SLOWNESS = 50
"""A simulated line is so much slower than a real one."""


@pytest.fixture(scope="module")
def shell():
    with open_shell(CONFIG) as opened:
        yield opened


@pytest.fixture
def line(shell):
    """The shell, without faults again afterwards."""
    yield shell
    shell.faults(Faults())


def opened(shell, **options):
    query = "&".join(f"{name}={value}" for name, value in options.items())
    location = f"{shell.port}?config=smallest&slowness={SLOWNESS}&{query}"
    return open_serial(location=location)


def train(transport):
    with Device(transport) as device:
        trainer = trainer_for(block_model(12, 2), Options(hidden=2, epochs=2, seed=4), device)
        trainer.run(lambda _: None)
        return weights_sha256(trainer.weights), [epoch.loss for epoch in trainer.history]


@pytest.fixture(scope="module")
def expected():
    return train(Model(CONFIG, WORDS))


def test_a_training_over_the_line_has_the_bits_of_the_model(line, expected):
    transport = opened(line)
    assert transport.rate == RATES[0]
    assert train(transport) == expected


def test_a_training_survives_faults_on_the_line_with_the_same_bits(line, expected):
    transport = opened(line)
    line.faults(Faults(flip=300, drop=300, duplicate=300, insert=300, pause=300), seed=2)
    assert train(transport) == expected
    assert line.happened > 5


@pytest.mark.parametrize("baud", [115_200, 1_000_000])
def test_memory_keeps_what_is_written_at_any_rate(line, baud):
    transport = opened(line, baud=baud)
    assert transport.rate == baud
    data = bytes(range(256)) * 2
    transport.write(100, data)
    assert transport.read(100, len(data) // CONFIG.memory_bytes) == data
    transport.close()


def test_a_line_that_is_pulled_is_a_clear_error(line):
    transport = opened(line)
    transport.write(0, bytes(64))
    puller = threading.Thread(target=lambda: (time.sleep(0.2), line.replug()))
    puller.start()
    with pytest.raises(DeviceError, match=r"; try"):
        for _ in range(1000):
            transport.write(0, bytes(4096))
    puller.join()
    transport.close()
    # The device itself is still there.
    again = opened(line)
    assert again.read(0, 16) == bytes(64)
    again.close()
