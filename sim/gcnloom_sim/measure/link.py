# SPDX-License-Identifier: Apache-2.0
"""What a serial link carries, and what it survives."""

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from gcnloom.device import Device
from gcnloom.errors import DeviceError
from gcnloom.graphs import datasets
from gcnloom.training.device_trainer import trainer_for
from gcnloom.training.options import Options
from gcnloom.training.weights import weights_sha256
from gcnloom.transport import Transport, configuration
from gcnloom.transport.serial import SerialTransport, open_channel
from gcnloom.transport.serial.conversation import Tally
from gcnloom_sim.link_channel import FaultyChannel, MemoryChannel
from gcnloom_sim.link_device import LinkDevice
from gcnloom_sim.model import Model
from gcnloom_spec.link import RATES

__all__ = ["Efficiency", "Survival", "efficiencies", "survive"]

BAUD = RATES[0]
WORDS = 1 << 12
BULK = 1 << 17
"""Bytes whose transfer is measured."""
KINDS_OF_LINE = ((64, 512, 150), (128, 160, 200), (256, 2048, 500))
"""Bytes of payload and of the window of devices that are harmed, and of the line between two faults
on the average: so many that some frames get through."""
DATA = "sbm:24,2"
SETTINGS = Options(hidden=3, epochs=3, validate_every=2, seed=1)
MOST_WORDS = 100
MOST_FAULTS = 10_000
"""Of which half come before a link is trained over."""


@dataclass(frozen=True, kw_only=True)
class Efficiency:
    """Payload over bytes on the line, 8N1 bytes both, in the direction of the payload.

    Attributes
    ----------
    payload_bytes : int
        The most in a frame.
    write, read : float
    seconds : float
        That writing and reading the bytes takes at the fastest rate, were the host infinitely
        fast.
    """

    payload_bytes: int
    write: float
    read: float
    seconds: float


@dataclass(frozen=True, kw_only=True)
class Survival:
    """What became of transfers and trainings through faults.

    Attributes
    ----------
    faults : Counter[str]
        By kind.
    tally : Tally
        All links together.
    links, trainings, transfers : int
        Devices opened, trainings that ended, and memory contents that were compared.
    errors : Counter[str]
        How often a link ended in which error.
    wrong : int
        Weights and contents that were other than they should be.
    """

    faults: Counter[str]
    tally: Tally
    links: int
    trainings: int
    transfers: int
    errors: Counter[str]
    wrong: int


def efficiencies(config_name: str, sizes: Sequence[int]) -> Iterator[Efficiency]:
    """Write and read random bytes with frames of several sizes."""
    config = configuration(config_name)
    data = np.random.default_rng(0).bytes(BULK)
    for size in sizes:
        device = LinkDevice(
            config, BULK // config.memory_bytes, payload_bytes=size, window_bytes=4 * size + 52
        )
        line = MemoryChannel(device, BAUD)
        transport = open_channel(line, config, baud=BAUD)
        begin, sent = line.now(), line.sent
        transport.write(0, data)
        sent, received = line.sent - sent, line.received
        transport.read(0, BULK // config.memory_bytes)
        yield Efficiency(
            payload_bytes=size, write=BULK / sent, read=BULK / (line.received - received),
            seconds=line.now() - begin,
        )  # fmt: skip


def survive(config_name: str, faults: int, seed: int, progress: Callable[[str], None]) -> Survival:
    """Transfer and train until so many faults were injected."""
    return _Trial(config_name, seed, progress).until(faults)


class _Trial:
    def __init__(self, config_name: str, seed: int, progress: Callable[[str], None]) -> None:
        self._config = configuration(config_name)
        self._random = np.random.default_rng(seed)
        self._progress = progress
        self._graph = datasets.load(DATA, seed=0)
        self._expected = self._train(Model(self._config, WORDS))
        self._faults: Counter[str] = Counter()
        self._tally, self._errors = Tally(), Counter[str]()
        self._links = self._trainings = self._transfers = self._wrong = 0

    def until(self, faults: int) -> Survival:
        while (before := self._faults.total()) < faults:
            self._link(faults - before)
            if self._faults.total() * 20 // faults > before * 20 // faults:
                self._progress(f"{self._faults.total():,} faults, {self._wrong} wrong results")
        return Survival(
            faults=self._faults, tally=self._tally, links=self._links, trainings=self._trainings,
            transfers=self._transfers, errors=self._errors, wrong=self._wrong,
        )  # fmt: skip

    def _link(self, most: int) -> None:
        """Open a device through a faulty line, train on it and use it until it breaks."""
        payload, window, mean = KINDS_OF_LINE[self._links % len(KINDS_OF_LINE)]
        device = LinkDevice(self._config, WORDS, payload_bytes=payload, window_bytes=window)
        faulty = FaultyChannel(
            MemoryChannel(device, BAUD), seed=int(self._random.integers(1 << 62)), mean_bytes=mean
        )
        self._links += 1
        transport = None
        try:
            transport = open_channel(faulty, self._config, baud=BAUD)
            self._use(transport, faulty, min(most, MOST_FAULTS))
        except DeviceError as error:
            self._errors[str(error)] += 1
        finally:
            self._faults.update(faulty.faults)
            if transport is not None:
                self._add(transport.tally)

    def _use(self, transport: SerialTransport, faulty: FaultyChannel, most: int) -> None:
        """Compare what memory holds until half of the faults were, then train."""
        size = self._config.memory_bytes
        memory = bytearray(WORDS * size)
        while 2 * faulty.faults.total() < most:
            start, end = self._place()
            data = memory[start * size : end * size] = self._random.bytes((end - start) * size)
            transport.write(start, data)
            start, end = self._place()
            read = transport.read(start, end - start)
            self._wrong += read != memory[start * size : end * size]
            self._transfers += 1
        self._wrong += self._train(transport) != self._expected
        self._trainings += 1

    def _place(self) -> tuple[int, int]:
        """Draw the first word of some, and the one after the last."""
        start = int(self._random.integers(WORDS))
        return start, min(WORDS, start + int(self._random.integers(1, MOST_WORDS)))

    def _train(self, transport: Transport) -> str:
        device = Device(transport)
        trainer = trainer_for(self._graph, SETTINGS, device)
        trainer.run()
        return weights_sha256(trainer.weights)

    def _add(self, tally: Tally) -> None:
        for name, value in vars(tally).items():
            setattr(self._tally, name, getattr(self._tally, name) + value)
