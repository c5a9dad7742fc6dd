# SPDX-License-Identifier: Apache-2.0
"""The host driver, unchanged, and the Verilated shell, whose UART pins toggle clock by clock."""

import threading
import time

import pytest

from gcnloom.device import Device
from gcnloom.errors import DeviceError
from gcnloom.training.device_trainer import trainer_for
from gcnloom.training.options import Options
from gcnloom.training.weights import weights_sha256
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
    given = {"slowness": SLOWNESS} | options
    query = "&".join(f"{name}={value}" for name, value in given.items())
    return open_serial(CONFIG, location=f"{shell.port}?{query}")


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
    # Impatient, as each loss is waited for: what is asked too soon again does no harm.
    transport = opened(line, slowness=5)
    line.faults(Faults(flip=100, drop=100, duplicate=100, insert=100, pause=100), seed=2)
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


def test_a_training_goes_on_when_the_cable_is_back(line, expected):
    """Whatever was under way: the session is begun anew, and the run is not."""
    transport = opened(line)

    def pull():
        for _ in range(3):
            time.sleep(0.3)
            line.unplug()
            time.sleep(0.2)
            line.plug_in()

    puller = threading.Thread(target=pull)
    puller.start()
    assert train(transport) == expected
    puller.join()
    assert transport.tally.reopened > 0


def test_a_cable_that_stays_away_is_a_clear_error(line):
    transport = opened(line, slowness=1)
    transport.write(0, bytes(64))
    line.unplug()
    try:
        with pytest.raises(DeviceError, match=r"; try"):
            transport.write(0, bytes(64))
    finally:
        transport.close()
        line.plug_in()
    # The device itself is still there.
    again = opened(line)
    assert again.read(0, 16) == bytes(64)
    again.close()
