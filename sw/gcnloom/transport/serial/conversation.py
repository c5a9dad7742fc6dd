# SPDX-License-Identifier: Apache-2.0
"""The requests of one session: numbered, some at a time, asked again until they are answered."""

from collections.abc import Sequence
from dataclasses import dataclass

from gcnloom.errors import DeviceError
from gcnloom.transport.serial.channel import Channel
from gcnloom.transport.serial.frames import Deframer, framed
from gcnloom.transport.serial.messages import ANSWER_BYTES, REQUEST_BYTES, Answer, Ask
from gcnloom_spec.link import CHECK_BYTES, MOST_UNANSWERED, Outcome

__all__ = ["AskAnewError", "Conversation", "Pace", "SilentError", "Tally"]

NUMBERS = 256
MOST_SILENT = 3
MOST_AGAIN = 50
"""Times that all is sent again, without an answer, which mean that nothing gets through."""
FEWEST_AHEAD = 2
"""Requests that may be unanswered however much is lost."""
ANSWERS_AHEAD = 1 << 14
"""Bytes of answers that may be under way: more than a line holds, less than a port's buffer."""
BITS_A_BYTE = 10


class SilentError(Exception):
    """Nothing has answered for long."""


class AskAnewError(Exception):
    """Answers are lost which would be other ones if read again, because of later writes."""


@dataclass
class Tally:
    """What went over a link.

    Attributes
    ----------
    frames, resent : int
        Requests sent, and those of them that were sent before.
    losses : int
        Times that requests had to be sent again.
    sessions, reopened : int
        Sessions begun, and times the channel was opened again.
    """

    frames: int = 0
    resent: int = 0
    losses: int = 0
    sessions: int = 0
    reopened: int = 0


@dataclass(frozen=True, kw_only=True)
class Pace:
    """How long to wait for an answer.

    Attributes
    ----------
    rate : int
        Bauds.
    patience : float
        Seconds that the machines at both ends may take, beside the line.
    """

    rate: int
    patience: float

    def seconds(self, bytes_under_way: int) -> float:
        """Return how long answers take at most, were a quarter of the bytes escaped."""
        return self.patience + 1.25 * BITS_A_BYTE * bytes_under_way / self.rate


class Conversation:
    """One session.

    Parameters
    ----------
    channel : Channel
    deframer : Deframer
    session, number : int
        The session, and the number of its next request.
    window_bytes : int
        Of bodies that may be unanswered.
    pace : Pace
    tally : Tally
        Added to.
    most_silent : int
        Waits without an answer, each twice as long as the one before, after which to give up.
    """

    def __init__(
        self, channel: Channel, deframer: Deframer, session: int, number: int, *,
        window_bytes: int, pace: Pace, tally: Tally, most_silent: int = MOST_SILENT,
    ) -> None:  # fmt: skip
        self._most_silent = most_silent
        self._channel, self._deframer = channel, deframer
        self._session, self._number = session, number % NUMBERS
        self._window_bytes = window_bytes
        self._most_ahead: float = MOST_UNANSWERED
        self.pace = pace
        self._tally = tally
        self._begin((), [])

    def _begin(self, asks: Sequence[Ask], answers: list[bytes]) -> None:
        self._asks, self._answers = asks, answers
        self._done = self._sent = self._most_sent = 0
        self._asked_bytes = self._answer_bytes = 0
        self._forgiven = self._silent = self._again = 0

    def exchange(self, asks: Sequence[Ask], answers: list[bytes]) -> None:
        """Ask, and append the payload of each answer.

        Raises
        ------
        SilentError, AskAnewError, LostError
            Not all are answered. Asked once more from the first unanswered one on, requests
            have the numbers that they had.
        DeviceError
            A request was refused.
        """
        self._begin(asks, answers)
        while self._done < len(asks):
            self._send()
            self._receive()

    def _send(self) -> None:
        """Send what the window lets through."""
        bodies = []
        while self._sent < len(self._asks) and self._sent - self._done < self._most_ahead:
            ask = self._asks[self._sent]
            asked, answered = _size(ask)
            if self._sent > self._done and (
                self._asked_bytes + asked > self._window_bytes
                or self._answer_bytes + answered > ANSWERS_AHEAD
            ):
                break
            number = (self._number + self._sent - self._done) % NUMBERS
            bodies.append(ask.body(self._session, number))
            self._asked_bytes += asked
            self._answer_bytes += answered
            self._sent += 1
        if bodies:
            new = max(0, self._sent - self._most_sent)
            self._tally.frames += len(bodies)
            self._tally.resent += len(bodies) - new
            self._most_sent += new
            self._channel.write(framed(bodies))

    def _receive(self) -> None:
        """Take what comes until there is something to send, or it was in vain."""
        done = self._done
        wait = self.pace.seconds(self._asked_bytes + self._answer_bytes) * (1 << self._silent)
        deadline = self._channel.now() + wait
        while self._done == done and self._sent > self._done:
            left = deadline - self._channel.now()
            if left <= 0:
                self._silent += 1
                if self._silent > self._most_silent:
                    raise SilentError
                self._go_back()
                return
            for body in self._deframer.feed(self._channel.read(left)):
                self._take(body)

    def _take(self, body: bytes) -> None:
        """Look at one answer."""
        answer = Answer.from_body(body)
        if answer is None or answer.session != self._session:
            return
        ahead, under_way = (answer.sequence - self._number) % NUMBERS, self._sent - self._done
        if answer.outcome == Outcome.AGAIN:
            if ahead <= under_way:
                self._miss()
        elif ahead == 0 and under_way:
            self._answered(answer)
        elif ahead < under_way:
            self._miss()

    def _answered(self, answer: Answer) -> None:
        ask = self._asks[self._done]
        if answer.outcome == Outcome.BUSY:
            raise DeviceError(f"the device is running and did not {ask}; try again when it rests")
        if answer.outcome != Outcome.DONE or not answer.fits(ask):
            raise DeviceError(
                f"the device answered {answer.kind}, outcome {answer.outcome}, with "
                f"{len(answer.payload)} bytes, where it was asked to {ask}; "
                "try gateware and software of the same release"
            )
        self._answers.append(answer.payload)
        asked, answered = _size(ask)
        self._asked_bytes -= asked
        self._answer_bytes -= answered
        self._done += 1
        self._number = (self._number + 1) % NUMBERS
        self._forgiven = self._silent = self._again = 0
        self._most_ahead = min(MOST_UNANSWERED, self._most_ahead + 1)

    def _miss(self) -> None:
        """Something was lost; each of what is under way may tell of it, and one is enough."""
        if self._forgiven:
            self._forgiven -= 1
            return
        self._again += 1
        if self._again > MOST_AGAIN:
            raise SilentError
        self._go_back()

    def _go_back(self) -> None:
        """Send all again that is not answered."""
        self._tally.losses += 1
        under_way = self._asks[self._done : self._sent]
        reads = [ask.reads for ask in under_way]
        if True in reads and False in reads[reads.index(True) :]:
            raise AskAnewError
        # What is ahead of a loss is sent in vain: the more is lost, the less is sent ahead.
        self._most_ahead = max(FEWEST_AHEAD, self._most_ahead // 2)
        self._forgiven = len(under_way)
        self._sent = self._done
        self._asked_bytes = self._answer_bytes = 0


def _size(ask: Ask) -> tuple[int, int]:
    """Bytes of a request's body and of its answer's."""
    return (
        REQUEST_BYTES + len(ask.payload) + CHECK_BYTES,
        ANSWER_BYTES + ask.answer_bytes + CHECK_BYTES,
    )
