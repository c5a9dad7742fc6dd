# SPDX-License-Identifier: Apache-2.0
"""Beginning sessions: calling a device at one rate and another until it greets."""

from collections.abc import Callable, Iterable
from dataclasses import replace
from itertools import cycle

from gcnloom.errors import DeviceError
from gcnloom.transport.serial.channel import Channel, LostError
from gcnloom.transport.serial.conversation import Conversation, Pace, SilentError, Tally
from gcnloom.transport.serial.frames import Deframer
from gcnloom.transport.serial.messages import Greeting, hello
from gcnloom_spec.link import BASE_RATE, LINK_VERSION

__all__ = ["Caller"]

SESSIONS = 255
"""Numbers of sessions, from 1: a device that has never been greeted may think it is in 0."""
PATIENCE = 0.06
"""Seconds; four times the pause that an FTDI adapter makes by itself."""
REST = 0.1
"""Seconds before a channel that is gone is looked for again."""


class Caller:
    """Who begins sessions with one device.

    Parameters
    ----------
    channel : Channel
    rate : int
        Bauds at which to call first.
    slowness : float
        By what to multiply every wait.
    hope : float
        Seconds for which a device that is gone is called.
    draw : callable
        Draws a number below its argument: the first session, and the token.

    Attributes
    ----------
    greeting : Greeting
        The first one.
    conversation : Conversation
        The last session.
    rate : int
        Bauds in use.
    usable : bool
        Whether the last session may go on.
    hope, patience : float
    tally : Tally
    """

    greeting: Greeting
    conversation: Conversation

    def __init__(
        self, channel: Channel, rate: int, *, slowness: float, hope: float,
        draw: Callable[[int], int],
    ) -> None:  # fmt: skip
        self.channel, self._deframer = channel, Deframer()
        self.patience, self.hope = PATIENCE * slowness, hope * slowness
        self.tally = Tally()
        self.rate = rate
        self.usable = self._lost = False
        self._given_up = ""
        self._session = draw(SESSIONS)
        self._token = 1 + draw((1 << 32) - 1)

    def begin(self) -> None:
        """Call for the first time, and leave the token.

        Raises
        ------
        DeviceError
            Nothing greets, or something that speaks another version.
        """
        fastest = self.rate
        # One at another rate falls back to the base rate when it has heard enough of this one.
        rates = (fastest, *[BASE_RATE] * 4, fastest, BASE_RATE, BASE_RATE)
        if not any(self.greets(rate, self._token) for rate in rates):
            raise DeviceError(
                f"nothing answers at {fastest} or {BASE_RATE} baud; try another port, its cable, "
                "or programming the board again"
            )
        self.greeting = self._greeted
        if self.greeting.link_version != LINK_VERSION:
            raise DeviceError(
                f"the device speaks version {self.greeting.link_version} of the link, this host "
                f"version {LINK_VERSION}; try gateware and software of the same release"
            )

    def call(self, rates: Iterable[int]) -> None:
        """Begin another session with the same device, at the first of these rates that works.

        Raises
        ------
        DeviceError
            It does not come back, or not as it was.
        """
        if self._given_up:
            raise DeviceError(self._given_up)
        deadline = self.channel.now() + self.hope
        for rate in cycle(rates):
            try:
                self.open_again()
                if self.greets_again(rate):
                    return
            except LostError:
                self.lose()
            if self.channel.now() > deadline:
                raise self._giving_up(
                    f"the device has not answered for {self.hope:.0f} s; try its cable and power, "
                    "then open it again"
                )

    def greets_again(self, rate: int) -> bool:
        """Begin a session at a rate; return whether there is an answer, from the same device."""
        if not self.greets(rate):
            return False
        if replace(self._greeted, token=0) != replace(self.greeting, token=0):
            raise self._giving_up(
                f"another device answers, of configuration {self._greeted.digest}; try opening it"
            )
        if self._greeted.token != self._token:
            what = "used by another program" if self._greeted.token else "configured anew"
            raise self._giving_up(
                f"the board was {what} meanwhile, and what was in its memory is lost; try opening "
                "it again and going on from the last checkpoint"
            )
        return True

    def greets(self, rate: int, token: int | None = None) -> bool:
        """Begin a session at a rate, and leave a token if there is one; return whether it works."""
        self.usable = False
        self.channel.set_rate(rate)
        self._deframer.forget()
        self._session = self._session % SESSIONS + 1
        answers: list[bytes] = []
        try:
            self._conversation(rate, 0, 0, most_silent=1).exchange([hello(token)], answers)
        except SilentError:
            return False
        self._greeted = Greeting.from_payload(answers[0])
        self.conversation = self._conversation(rate, 1, self._greeted.window_bytes)
        self.usable, self.rate = True, rate
        self.tally.sessions += 1
        return True

    def lose(self) -> None:
        """Note that the channel is gone, and wait a little."""
        self._lost, self.usable = True, False
        self.channel.sleep(REST)

    def open_again(self) -> None:
        """Open the channel again if it was lost."""
        if self._lost:
            self.channel.reopen()
            self._lost = False
            self.tally.reopened += 1

    def _giving_up(self, why: str) -> DeviceError:
        """Return the error that says so, now and at every further call."""
        self._given_up, self.usable = why, False
        return DeviceError(why)

    def pace(self, rate: int) -> Pace:
        """Return how long to wait at a rate."""
        return Pace(rate=rate, patience=self.patience)

    def _conversation(self, rate: int, number: int, window_bytes: int, **more: int) -> Conversation:
        return Conversation(
            self.channel, self._deframer, self._session, number, window_bytes=window_bytes,
            pace=self.pace(rate), tally=self.tally, **more,
        )  # fmt: skip
