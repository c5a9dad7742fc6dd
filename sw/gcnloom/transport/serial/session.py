# SPDX-License-Identifier: Apache-2.0
"""A link that lasts: sessions are begun anew, at whatever rate, for as long as there is hope."""

import secrets
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from itertools import cycle

from gcnloom.errors import DeviceError
from gcnloom.transport.serial.channel import Channel, LostError
from gcnloom.transport.serial.conversation import (
    AskAnewError,
    Conversation,
    Pace,
    SilentError,
    Tally,
)
from gcnloom.transport.serial.frames import Deframer
from gcnloom.transport.serial.messages import Ask, Greeting, hello, read_registers, use_rate
from gcnloom.transport.serial.rates import ladder
from gcnloom_spec.link import BASE_RATE, LINK_VERSION, rate_increment

__all__ = ["Session", "UnsureError"]

SESSIONS = 255
PATIENCE = 0.06
"""Seconds; four times the pause that an FTDI adapter makes by itself."""
HOPE = 12.0
"""Seconds for which a device that is gone is called."""
REST = 0.1
WATCHED = 64
"""Requests sent between two looks at how often some were lost."""
MOST_LOSSES = 1 / 8
"""Losses a request with which a lower rate is better."""
PROOFS = 8
"""Reads that a new rate has to stand."""
PROOF_REGISTERS = 16


class UnsureError(DeviceError):
    """It cannot be known whether the device has done what must be done once only."""


class Session:
    """Requests and their answers, whatever the line does.

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

    Attributes
    ----------
    greeting : Greeting
    rate : int
        Bauds in use.
    tally : Tally

    Raises
    ------
    DeviceError
        Nothing greets, or something that speaks another version.
    """

    greeting: Greeting
    _conversation: Conversation

    def __init__(
        self, channel: Channel, baud: int, *, slowness: float = 1.0, hope: float = HOPE,
        draw: Callable[[int], int] = secrets.randbelow,
    ) -> None:  # fmt: skip
        self._channel, self._deframer = channel, Deframer()
        self._patience, self._hope = PATIENCE * slowness, hope * slowness
        self.tally, self._looked = Tally(), Tally()
        self._session = draw(SESSIONS)
        self._token = 1 + draw((1 << 32) - 1)
        self._fastest = self.rate = baud
        self._usable = self._lost = False
        if not any(self._greets(rate, self._token) for rate in (baud, *[BASE_RATE] * 4, baud)):
            raise DeviceError(
                f"nothing answers at {baud} or {BASE_RATE} baud; try another port, its cable, or "
                "programming the board again"
            )
        self._check_version()
        self._climb()

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
            elif self._channel.now() - since > self._hope:
                raise DeviceError(
                    f"nothing gets through at {self.rate} baud, though the device greets; try "
                    "another cable, or a lower baud"
                )
        self._ease()
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
        if not self._usable:
            self._renew()
        self._usable = False
        answers: list[bytes] = []
        deadline = self._channel.now() + self._hope
        for rate in cycle((self.rate, self.rate, BASE_RATE)):
            try:
                self._open_again()
                self._channel.set_rate(rate)
                self._conversation.pace = Pace(rate=rate, patience=self._patience)
                self._conversation.exchange([ask], answers)
            except SilentError:
                pass
            except LostError:
                self._lose()
            if answers:
                # At another rate it goes on in a new session, which climbs again.
                self._usable = rate == self.rate
                return
            if self._channel.now() > deadline:
                break
        self._renew()
        raise UnsureError(
            f"it is not known whether the device did {ask}, for it does not remember the session; "
            "try it once more from a checkpoint"
        )

    def close(self) -> None:
        """Let go of the channel."""
        self._channel.close()

    def sleep(self, seconds: float) -> None:
        """Let time pass."""
        self._channel.sleep(seconds)

    def now(self) -> float:
        """Return seconds by the channel's clock."""
        return self._channel.now()

    def _attempt(self, asks: Sequence[Ask], answers: list[bytes]) -> None:
        """Have answered what can be; what is not is to be asked in a new session."""
        if not self._usable:
            self._renew()
        self._usable = False
        try:
            self._conversation.exchange(asks[len(answers) :], answers)
            self._usable = True
        except LostError:
            self._lose()
        except (AskAnewError, SilentError):
            pass
        while len(answers) < len(asks) and asks[len(answers)].joined:
            answers.pop()

    def _renew(self) -> None:
        """Begin another session with the same device."""
        deadline = self._channel.now() + self._hope
        while not self._usable:
            self._call((self.rate, self.rate, BASE_RATE, BASE_RATE))
            try:
                self._climb()
            except LostError:
                self._lose()
                if self._channel.now() > deadline:
                    raise

    def _call(self, rates: Iterable[int]) -> None:
        """Begin another session with the same device at the first of these rates that works."""
        deadline = self._channel.now() + self._hope
        for rate in cycle(rates):
            try:
                self._open_again()
                if self._greets(rate):
                    self._check_same()
                    return
            except LostError:
                self._lose()
            if self._channel.now() > deadline:
                raise DeviceError(
                    f"the device has not answered for {self._hope:.0f} s; try its cable and power, "
                    "then open it again"
                )

    def _open_again(self) -> None:
        if self._lost:
            self._channel.reopen()
            self._lost = False
            self.tally.reopened += 1

    def _lose(self) -> None:
        self._lost, self._usable = True, False
        self._channel.sleep(REST)

    def _greets(self, rate: int, token: int | None = None) -> bool:
        """Begin a session at a rate; return whether the device does."""
        self._usable = False
        self._channel.set_rate(rate)
        self._deframer.forget()
        self._session = self._session % SESSIONS + 1
        pace = Pace(rate=rate, patience=self._patience)
        answers: list[bytes] = []
        try:
            Conversation(
                self._channel, self._deframer, self._session, 0, window_bytes=0, pace=pace,
                tally=self.tally, most_silent=1,
            ).exchange([hello(token)], answers)  # fmt: skip
        except SilentError:
            return False
        self._usable, self.rate = True, rate
        self.tally.sessions += 1
        self._greeted = Greeting.from_payload(answers[0])
        if token is not None:
            self.greeting = self._greeted
        self._conversation = Conversation(
            self._channel, self._deframer, self._session, 1,
            window_bytes=self._greeted.window_bytes, pace=pace, tally=self.tally,
        )  # fmt: skip
        return True

    def _check_version(self) -> None:
        greeting = self.greeting
        if greeting.link_version != LINK_VERSION or not greeting.memory_bytes:
            raise DeviceError(
                f"the device speaks version {greeting.link_version} of the link, this host version "
                f"{LINK_VERSION}; try gateware and software of the same release"
            )

    def _check_same(self) -> None:
        if replace(self._greeted, token=0) != replace(self.greeting, token=0):
            raise DeviceError(
                f"another device answers, of configuration {self._greeted.digest}; try opening it"
            )
        if self._greeted.token != self._token:
            what = "used by another program" if self._greeted.token else "configured anew"
            raise DeviceError(
                f"the board was {what} meanwhile, and what was in its memory is lost; try opening "
                "it again and going on from the last checkpoint"
            )

    def _climb(self) -> None:
        """Use the fastest rate that works."""
        for rate in ladder(self._fastest, self.greeting.clock_hz):
            if rate <= self.rate or self._moves(rate):
                return

    def _moves(self, rate: int) -> bool:
        """Change to a rate; return whether that works, else have gone to one that does."""
        before = self.rate
        try:
            increment = rate_increment(rate, self.greeting.clock_hz)
            self._conversation.exchange([use_rate(increment)], [])
        except SilentError:
            # It may use either rate now: what greets at the new one does.
            pass
        if self._greets(rate):
            self._check_same()
            if self._stands():
                return True
        self._fastest = self._below(rate) or BASE_RATE
        self._call((before, BASE_RATE, BASE_RATE, rate))
        return False

    def _below(self, rate: int) -> int | None:
        """Return the next rate to try below that one, if there is any."""
        lower = (each for each in ladder(rate, self.greeting.clock_hz) if each < rate)
        return next(lower, None)

    def _stands(self) -> bool:
        """Whether reads come through at a new rate, all but one at once."""
        count = min(PROOF_REGISTERS, self.greeting.payload_bytes // 4)
        losses = self.tally.losses
        try:
            self._conversation.exchange([read_registers(0, count)] * PROOFS, [])
        except SilentError:
            return False
        return self.tally.losses - losses <= 1

    def _ease(self) -> None:
        """Go down a rate if too much is lost."""
        frames = self.tally.frames - self._looked.frames
        if frames < WATCHED:
            return
        losses = self.tally.losses - self._looked.losses
        self._looked = replace(self.tally)
        lower = self._below(self.rate)
        if losses <= MOST_LOSSES * frames or lower is None:
            return
        self._fastest = lower
        try:
            self._moves(lower)
        except LostError:
            self._lose()
