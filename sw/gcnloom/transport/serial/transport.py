# SPDX-License-Identifier: Apache-2.0
"""A device behind a serial link, as a transport."""

import numpy as np
from numpy.typing import NDArray

from gcnloom.errors import DeviceError
from gcnloom.transport import NOTHING_JUDGED, Ended, Identity, Judged, Watch
from gcnloom.transport.registers import Runs
from gcnloom.transport.serial.bus import SerialBus
from gcnloom.transport.serial.conversation import Tally
from gcnloom.transport.serial.messages import read_memory, write_memory
from gcnloom.transport.serial.session import Session
from gcnloom_spec.config import AcceleratorConfig

__all__ = ["SerialTransport"]


class SerialTransport:
    """Device memory and registers of a board.

    Parameters
    ----------
    session : Session
    config : AcceleratorConfig
        What the device was built for.

    Raises
    ------
    DeviceError
        A run that another program began does not end when it is abandoned.
    """

    def __init__(self, session: Session, config: AcceleratorConfig) -> None:
        self._session, self._config = session, config
        bus = SerialBus(session)
        self._runs = Runs(bus, readable=False)
        if bus.running():
            self._runs.abandon()

    @property
    def rate(self) -> int:
        """Bauds in use."""
        return self._session.rate

    @property
    def tally(self) -> Tally:
        """What went over the link."""
        return self._session.tally

    def identity(self) -> Identity:
        """Return what the device said of itself when it was greeted."""
        greeting = self._session.greeting
        return Identity(
            isa_version=greeting.isa_version,
            config_digest=greeting.digest,
            config=self._config,
            memory_words=greeting.memory_words,
        )

    def write(self, address: int, data: bytes) -> None:
        """Write whole words of device memory."""
        words, rest = divmod(len(data), self._config.memory_bytes)
        if rest:
            raise DeviceError(
                f"{len(data)} bytes are not whole words of {self._config.memory_bytes}; "
                "try padding them"
            )
        self._check_words(address, words)
        self._session.exchange(list(write_memory(address, data, self._session.greeting)))

    def read(self, address: int, words: int) -> bytes:
        """Read whole words."""
        self._check_words(address, words)
        asks = list(read_memory(address, words, self._session.greeting))
        return b"".join(self._session.exchange(asks))

    def run(
        self, program_address: int, commands: int, seed: int, step: int, *,
        judged: Judged = NOTHING_JUDGED, watch: Watch | None = None, keep: bool = False,
    ) -> Ended:  # fmt: skip
        """Run a program to its end."""
        return self._runs.run(
            program_address, commands, seed, step, judged=judged, watch=watch, keep=keep
        )

    def counters(self) -> dict[str, int]:
        """Read every performance counter of the last run."""
        return self._runs.counters()

    def statistics(self) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Read each tensor's envelope and saturations of the last run."""
        return self._runs.statistics()

    def scales(self) -> NDArray[np.int64]:
        """Read every tensor's exponent, wanted exponent and shift, a row each."""
        return self._runs.scales()

    def close(self) -> None:
        """Let go of the port."""
        self._session.close()

    def _check_words(self, address: int, words: int) -> None:
        there = self._session.greeting.memory_words
        if address < 0 or address + words > there:
            raise DeviceError(
                f"words {address}..{address + words - 1} are outside the device memory of {there} "
                "words; try an address from memory.allocate"
            )
