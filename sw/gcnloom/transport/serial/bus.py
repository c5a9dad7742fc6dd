# SPDX-License-Identifier: Apache-2.0
"""The registers of a device behind a serial link."""

from collections.abc import Iterable, Sequence
from itertools import chain

from gcnloom.errors import DeviceError
from gcnloom.transport.serial.messages import Ask, read_registers, write_registers
from gcnloom.transport.serial.session import Session, UnsureError
from gcnloom_spec.registers import COUNTER_BASE, REGISTERS, Control, Status

__all__ = ["SerialBus"]

CONTROL = REGISTERS["control"].address
REGISTER_BYTES = 4
SHORTEST, LONGEST = 1e-3, 0.05
"""Seconds between looks at a run."""
LOOKS = 20
"""Looks that the time a run has taken is divided into."""
MOST_ENDING = 5.0
"""Seconds that a run may take to end once it was abandoned."""


class SerialBus:
    """See :class:`gcnloom.transport.registers.RegisterBus`.

    A run is looked at often at first, then less and less, so that a short one ends soon and a long
    one leaves the line alone.

    Parameters
    ----------
    session : Session
    """

    def __init__(self, session: Session) -> None:
        self._session = session
        self._started = session.now()
        self._ending: float | None = None

    def read(self, address: int, count: int) -> list[int]:
        """Read neighbouring registers."""
        most = self._session.greeting.payload_bytes // REGISTER_BYTES
        asks = [
            read_registers(start, min(most, address + count - start))
            for start in range(address, address + count, most)
        ]
        return list(chain.from_iterable(_values(self._session.exchange(asks))))

    def write(self, address: int, values: Sequence[int]) -> None:
        """Write neighbouring registers."""
        if address == CONTROL and values[0] & Control.ABANDON:
            self._ending = self._session.now()
        self._session.exchange([write_registers(address, values)])

    def read_selected(
        self, select: int, choices: Sequence[int], address: int, count: int
    ) -> list[list[int]]:
        """Write each choice to a register, and read neighbouring registers after each.

        All is asked at once. Should an answer be lost, its choice is made again too.
        """
        asks: list[Ask] = []
        for choice in choices:
            asks.append(write_registers(select, [choice]))
            asks.append(read_registers(address, count, joined=True))
        return _values(self._session.exchange(asks)[1::2])

    def start(self, control: int) -> None:
        """Start a run, once: if it is not known whether it began, what it leaves may tell."""
        before = self._traces()
        self._started, self._ending = self._session.now(), None
        try:
            self._session.once(write_registers(CONTROL, [control]))
        except UnsureError:
            if not self.running() and self._traces() == before:
                raise

    def goes_on(self, *, watched: bool) -> bool:
        """Wait a little; return whether a run is under way."""
        passed = self._session.now() - self._started
        self._session.sleep(min(max(passed / LOOKS, SHORTEST), LONGEST))
        return self.running()

    def running(self) -> bool:
        """Whether a run is under way.

        Raises
        ------
        DeviceError
            It was abandoned, and has not ended for long.
        """
        status = self.read(REGISTERS["status"].address, 1)[0]
        if not status & Status.RUNNING:
            return False
        now = self._session.now()
        if self._ending is None and status & Status.EXPIRED:
            self._ending = now
        if self._ending is not None and now - self._ending > MOST_ENDING:
            raise DeviceError(
                f"the device was told to abandon its run and still waits for its memory after "
                f"{MOST_ENDING:.0f} s; try programming the board again"
            )
        return True

    def _traces(self) -> list[list[int]]:
        """Read what a run changes, unless it does just what the one before it did."""
        asks = [read_registers(REGISTERS["progress"].address, 1), read_registers(COUNTER_BASE, 2)]
        return _values(self._session.exchange(asks))


def _values(payloads: Iterable[bytes]) -> list[list[int]]:
    """Take registers out of answers."""
    return [
        [
            int.from_bytes(payload[start : start + REGISTER_BYTES], "little")
            for start in range(0, len(payload), REGISTER_BYTES)
        ]
        for payload in payloads
    ]
