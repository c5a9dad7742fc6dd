# SPDX-License-Identifier: Apache-2.0
"""Devices at the end of a serial link, and a small training on them."""

import os
import select
import termios
import threading
from contextlib import contextmanager

import numpy as np

from gcnloom.device import Device
from gcnloom.training.device_trainer import trainer_for
from gcnloom.training.options import Options
from gcnloom.training.weights import weights_sha256
from gcnloom.transport import configuration
from gcnloom.transport.serial import open_channel, open_serial
from gcnloom_sim.link_channel import FaultyChannel, MemoryChannel
from gcnloom_sim.link_device import LinkDevice
from gcnloom_sim.model import Model
from tests.sw.graphs import block_model

__all__ = [
    "BAUD",
    "CONFIG",
    "WORDS",
    "board",
    "exercise",
    "expected_weights",
    "faulty",
    "opened",
    "pty",
    "record",
    "train",
]

BAUD = 3_000_000
CONFIG = configuration("odd")
WORDS = 1 << 14
GRAPH = block_model(24, 2)
EPOCHS = 3


def board(**sizes):
    return LinkDevice(CONFIG, WORDS, **sizes)


def opened(device, **options):
    return open_channel(MemoryChannel(device, BAUD), CONFIG, baud=BAUD, **options)


def faulty(device, seed, mean_bytes):
    return FaultyChannel(MemoryChannel(device, BAUD), seed=seed, mean_bytes=mean_bytes)


def train(transport, progress=lambda _: None):
    with Device(transport) as device:
        options = Options(hidden=3, epochs=EPOCHS, seed=4, validate_every=2)
        trainer = trainer_for(GRAPH, options, device)
        trainer.run(progress)
        return weights_sha256(trainer.weights), [epoch.loss for epoch in trainer.history]


def exercise(transport):
    """What recorded sessions hold: memory both ways, a run and all that it leaves."""
    rng = np.random.default_rng(11)
    with Device(transport) as device:
        left, right = rng.integers(-99, 99, (9, 7)), rng.integers(-99, 99, (7, 5))
        product = device.gemm(left, right)
        region = device.memory.allocate("bytes", 150)
        data = rng.bytes(150 * device.config.memory_bytes)
        device.write_bytes(region, data)
        device.scales()
        assert device.read_bytes(region, 150) == data
    np.testing.assert_array_equal(product, left @ right)


def record(port, path):
    """Record a session with a board, to be kept among those that tests play back."""
    exercise(open_serial(location=f"{port}?record={path}"))


def expected_weights():
    return train(Model(CONFIG, WORDS))


@contextmanager
def pty(device):
    """Serve a device on a pseudo-terminal, at the rate that its other side is set to."""
    master, slave = os.openpty()
    stop = threading.Event()

    def serve():
        while not stop.is_set():
            if not select.select([master], [], [], 0.01)[0]:
                continue
            try:
                data = os.read(master, 4096)
            except OSError:
                return
            number = termios.tcgetattr(slave)[5]
            rate = next(rate for rate in RATES if getattr(termios, f"B{rate}") == number)
            if not device.hears(rate):
                device.receive_noise(len(data))
                continue
            answer = device.receive(data)
            while answer:
                answer = answer[os.write(master, answer) :]
            device.settle()

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    try:
        yield os.ttyname(slave)
    finally:
        stop.set()
        thread.join()
        os.close(master)
        os.close(slave)


RATES = (3_000_000, 2_000_000, 1_000_000, 500_000, 115_200)
