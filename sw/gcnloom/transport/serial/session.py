# SPDX-License-Identifier: Apache-2.0
"""A link that lasts: sessions follow each other, whatever the line does, while there is hope."""

import secrets
from collections.abc import Callable, Sequence
from itertools import cycle

from gcnloom.errors import DeviceError
from gcnloom.transport.serial.caller import Caller
from gcnloom.transport.serial.channel import Channel, LostError
from gcnloom.transport.serial.conversation import AskAnewError, SilentError, Tally
from gcnloom.transport.serial.messages import Ask, Greeting
from gcnloom.transport.serial.rates import Ladder
from gcnloom_spec.link import BASE_RATE

__all__ = ["HOPE", "Session", "UnsureError"]

HOPE = 12.0
"""Seconds for which a device that is gone is called."""


class UnsureError(DeviceError):
    """It cannot be known whether the device has done what must be done once only."""


class Session:
    """Requests and their answers.

    Parameters
    ----------
    channel : Channel
    baud : int
        The fastest rate to use; lower ones are tried below it.
    slowness : float
        By what to multiply every wait: more than 1 for a device that is simulated.
    hope : float
        Seconds for which a device that is gone is called.
    draw : callable
        Draws a number below its argument: the first session, and the token.

    Raises
    ------
    DeviceError
        Nothing greets, or something that speaks another version.
    """

    def __init__(
        self, channel: Channel, baud: int, *, slowness: float = 1.0, hope: float = HOPE,
        draw: Callable[[int], int] = secrets.randbelow,
    ) -> None:  # fmt: skip
        self._channel = channel
        self._caller = Caller(channel, baud, slowness=slowness, hope=hope, draw=draw)
        self._ladder = Ladder(self._caller)
        self._caller.begin()
        try:
            self._ladder.climb()
        except LostError:
            # The first exchange calls again.
            self._caller.lose()

    @property
    def greeting(self) -> Greeting:
        """What the device says of itself."""
        return self._caller.greeting

    @property
    def rate(self) -> int:
        """Bauds in use."""
        return self._caller.rate

    @property
    def tally(self) -> Tally:
        """What went over the link."""
        return self._caller.tally

    def exchange(self, asks: Sequence[Ask]) -> list[bytes]:
        """Return the payloads of the answers to requests that may be carried out twice.

        Raises
        ------
        DeviceError
            A request is refused, or the device does not come back, or not as it was.
        """
        answers: list[bytes] = []
        furthest, since = -1, self._channel.now()
        while len(answers) < len(asks):
            self._attempt(asks, answers)
            if len(answers) > furthest:
                furthest, since = len(answers), self._channel.now()
            elif self._channel.now() - since > self._caller.hope:
                raise DeviceError(
                    f"nothing gets through at {self.rate} baud, though the device greets; try "
                    "another cable, or a lower baud"
                )
        self._ladder.ease()
        return answers

    def once(self, ask: Ask) -> None:
        """Have something done that must not be done twice.

        The same session goes on until there is an answer, at whatever rate and through a channel
        opened again: the device knows by its number whether it has done this.

        Raises
        ------
        UnsureError
            The device is there, but does not remember the session.
        DeviceError
            It does not come back, or not as it was.
        """
        self._renew()
        caller = self._caller
        caller.usable = False
        answers: list[bytes] = []
        deadline = self._channel.now() + caller.hope
        for rate in cycle((caller.rate, caller.rate, BASE_RATE)):
            try:
                caller.open_again()
                self._channel.set_rate(rate)
                caller.conversation.pace = caller.pace(rate)
                caller.conversation.exchange([ask], answers)
            except SilentError:
                # The device may have fallen back to the other rate.
                pass
            except LostError:
                caller.lose()
            if answers:
                # What follows at another rate does so in a new session, which climbs again.
                caller.usable = rate == caller.rate
                return
            if self._channel.now() > deadline:
                break
        self._renew()
        raise UnsureError(
            f"it is not known whether the device did {ask}, for it does not remember the session; "
            "try it once more from a checkpoint"
        )

    def sleep(self, seconds: float) -> None:
        """Let time pass."""
        self._channel.sleep(seconds)

    def now(self) -> float:
        """Return seconds by the channel's clock."""
        return self._channel.now()

    def close(self) -> None:
        """Let go of the channel."""
        self._channel.close()

    def _attempt(self, asks: Sequence[Ask], answers: list[bytes]) -> None:
        """Have answered what can be; what is not is to be asked in a new session."""
        caller = self._caller
        self._renew()
        caller.usable = False
        try:
            caller.conversation.exchange(asks[len(answers) :], answers)
            caller.usable = True
        except LostError:
            caller.lose()
        except (AskAnewError, SilentError):
            # The next attempt begins a session first.
            pass
        while len(answers) < len(asks) and asks[len(answers)].joined:
            answers.pop()

    def _renew(self) -> None:
        """Begin another session with the same device unless the last one may go on."""
        caller = self._caller
        deadline = self._channel.now() + caller.hope
        while not caller.usable:
            caller.call((caller.rate, caller.rate, BASE_RATE, BASE_RATE))
            try:
                self._ladder.climb()
            except LostError:
                caller.lose()
                if self._channel.now() > deadline:
                    raise
