# SPDX-License-Identifier: Apache-2.0
"""The rate of a link: as fast as was asked for, the device's clock can make and the line stands."""

from dataclasses import replace

from gcnloom.transport.serial.caller import Caller
from gcnloom.transport.serial.channel import LostError
from gcnloom.transport.serial.conversation import SilentError, Tally
from gcnloom.transport.serial.messages import read_registers, use_rate
from gcnloom_spec.link import BASE_RATE, RATES, rate_increment

__all__ = ["Ladder", "ladder"]

WATCHED = 64
"""Requests sent between two looks at how often some were lost."""
MOST_LOSSES = 1 / 8
"""Losses a request with which a lower rate is better."""
PROOFS = 8
"""Reads that a new rate has to stand, all but one at once."""
PROOF_REGISTERS = 16


def ladder(fastest: int, clock_hz: int) -> list[int]:
    """Return the rates to try, fastest first; the one that devices begin at is always there."""
    wanted = {fastest, BASE_RATE, *(rate for rate in RATES if rate < fastest)}
    return [rate for rate in sorted(wanted, reverse=True) if _can(rate, clock_hz)]


def _can(rate: int, clock_hz: int) -> bool:
    try:
        rate_increment(rate, clock_hz)
    except ValueError:
        return False
    return True


class Ladder:
    """Changes of one link's rate.

    Parameters
    ----------
    caller : Caller
        In a session.
    """

    def __init__(self, caller: Caller) -> None:
        self._caller = caller
        self._fastest = caller.rate
        self._looked = Tally()

    def climb(self) -> None:
        """Use the fastest rate that works; the caller is in a session."""
        for rate in self._from(self._fastest):
            if rate <= self._caller.rate or self._moves(rate):
                return

    def ease(self) -> None:
        """Go down a rate if too much is lost."""
        tally = self._caller.tally
        frames, losses = tally.frames - self._looked.frames, tally.losses - self._looked.losses
        if frames < WATCHED:
            return
        self._looked = replace(tally)
        lower = self._below(self._caller.rate)
        if losses <= MOST_LOSSES * frames or lower is None:
            return
        self._fastest = lower
        try:
            self._moves(lower)
        except LostError:
            self._caller.lose()

    def _moves(self, rate: int) -> bool:
        """Change to a rate; return whether that works, else have gone to one that does."""
        caller, before = self._caller, self._caller.rate
        try:
            increment = rate_increment(rate, caller.greeting.clock_hz)
            caller.conversation.exchange([use_rate(increment)], [])
        except SilentError:
            # It may use either rate by now, and shows which when it is called.
            caller.usable = False
        if caller.greets_again(rate) and self._stands():
            return True
        self._fastest = self._below(rate) or BASE_RATE
        caller.call((before, BASE_RATE, BASE_RATE, rate))
        return False

    def _stands(self) -> bool:
        """Whether reads come through at a new rate."""
        caller = self._caller
        count = min(PROOF_REGISTERS, caller.greeting.payload_bytes // 4)
        losses = caller.tally.losses
        try:
            caller.conversation.exchange([read_registers(0, count)] * PROOFS, [])
        except SilentError:
            return False
        return caller.tally.losses - losses <= 1

    def _below(self, rate: int) -> int | None:
        """Return the next rate to try below that one, if there is any."""
        return next((each for each in self._from(rate) if each < rate), None)

    def _from(self, rate: int) -> list[int]:
        return ladder(rate, self._caller.greeting.clock_hz)
