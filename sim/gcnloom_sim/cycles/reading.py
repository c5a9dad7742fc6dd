# SPDX-License-Identifier: Apache-2.0
"""What reads device memory, cycle by cycle: fetch, load unit, and the port that they share.

A queue of the gateware is full or empty in a cycle as it was when the cycle began; so each
step looks at every queue first, and moves what is furthest on before what follows it.
"""

from collections import deque
from collections.abc import Iterator

from gcnloom_sim.cycles.fabric import Fabric
from gcnloom_sim.cycles.timing import (
    ARRIVED,
    DECODED,
    OUTSTANDING,
    QUEUE,
    TRANSFERS,
    TURN,
    Timing,
)
from gcnloom_spec.commands import Load
from gcnloom_spec.config import Packing

__all__ = ["FETCH", "LOAD", "LOSS", "STEP", "STORE", "Fetch", "LoadUnit", "Port", "Unpacking"]

FETCH, LOSS, STEP, LOAD, STORE = range(5)
"""Clients of the memory port, those first whose reads go before others'; the last only writes."""


class Unpacking:
    """Words in, groups of items out: one word or group a cycle, after its last word's cycle.

    Parameters
    ----------
    packing : Packing
    """

    def __init__(self, packing: Packing) -> None:
        self._gives, self._takes = packing.items_per_word, packing.words_per_item
        self._items = self._parts = 0

    @property
    def item(self) -> bool:
        """Whether an item is there."""
        return self._items > 0

    def step(self, *, give: bool, word: bool) -> bool:
        """Give a group, take a word if there is one and room for it; return whether it did."""
        takes = word and self._items <= give
        self._items -= give
        if takes:
            self._parts += 1
            if self._parts == self._takes:
                self._parts, self._items = 0, self._gives
        return takes


class Port:
    """Grants one word a cycle, to the first client that asks; answers in the order of asking.

    Behind it is a memory that takes a word each way in every cycle.

    Parameters
    ----------
    latency : int
        Cycles from a memory read to its answer.

    Attributes
    ----------
    latency : int
        Cycles from asking for a word to its coming, if nobody else asks.
    waiting : list of int
        Words that each client asks for.
    """

    def __init__(self, latency: int) -> None:
        self._latency = QUEUE + latency
        self.latency = QUEUE + self._latency
        self._flight: deque[tuple[int, int]] = deque()
        self.waiting = [0] * STORE

    writer = STORE
    """Who writes: a turn passes on in a cycle without a word."""
    written = 0
    """When a word was written last, as far as that is not the store unit's affair."""
    writing = 0
    """Words still to be written."""

    def expect(self, client: int, address: int, words: int) -> None:
        """Say where the next words lie that a client asks for; here all are alike."""

    def store(self, address: int, words: int, first: float, last: float) -> list[float]:
        """Write words that are there from `first` to `last`; return how late each is taken."""
        return [0.0] * words

    def turn(self, writer: int) -> int:
        """Let a unit write; return the cycles until its first word is taken."""
        changes = writer != self.writer
        self.writer = writer
        return TURN if changes else 0

    def answer(self, now: int) -> int | None:
        """Return the client whose word has come, if there is one."""
        return self._flight[0][1] if self._flight and self._flight[0][0] <= now else None

    def events(self, now: int) -> Iterator[int]:
        """Yield when something will happen here."""
        if self._flight and self._flight[0][0] > now:
            yield self._flight[0][0]

    def step(self, now: int, *, take: bool) -> bool:
        """Hand out the answer if it is taken; grant a word. Return whether anything moved."""
        room = len(self._flight) < OUTSTANDING
        if take:
            self._flight.popleft()
        for client, waiting in enumerate(self.waiting):
            if room and waiting:
                self.waiting[client] -= 1
                self._flight.append((now + self._latency, client))
                return True
        return take


class Fetch:
    """Asks for the words of commands while there is room for them; decodes and offers these.

    Parameters
    ----------
    timing : Timing
    commands : int
        Commands of the program.
    """

    def __init__(self, timing: Timing, commands: int) -> None:
        self._unasked = timing.command_packing.words(commands)
        self._credits = timing.fetch_depth
        self._undecoded = commands
        self._ahead = self._decoded = 0
        self._unpacking = Unpacking(timing.command_packing)

    @property
    def command(self) -> bool:
        """Whether a command is there to be dealt."""
        return self._decoded > 0

    def step(self, *, deal: bool, arrives: bool, room: bool) -> tuple[bool, bool]:
        """Deal a command, take a word, ask for one; return whether it asks, what else moved."""
        decodes = self._unpacking.item and self._decoded < DECODED and self._undecoded > 0
        taken = self._unpacking.step(give=decodes, word=self._ahead > 0)
        self._decoded += decodes - deal
        self._undecoded -= decodes
        asks = room and self._unasked > 0 and self._credits > 0
        self._ahead += arrives - taken
        self._credits += taken - asks
        self._unasked -= asks
        return asks, taken or decodes or deal


class _Transfer:
    """A load whose words are on their way."""

    def __init__(self, command: Load, timing: Timing) -> None:
        self.command = command
        self.words = timing.packing(command.target).words(command.count)
        self.groups = self.left = timing.groups(command)
        self.unpacking = Unpacking(timing.grouped(command.target))
        self.turn = 0


class LoadUnit:
    """Asks for one word after the other; writes the items of those that come back, in groups.

    Words of the next loads are asked for while those of earlier ones arrive.

    Parameters
    ----------
    timing : Timing
    fabric : Fabric
        What else writes.
    """

    def __init__(self, timing: Timing, fabric: Fabric) -> None:
        self._timing, self._fabric = timing, fabric
        self._unasked = self._arrived = 0
        self._transfers: deque[_Transfer] = deque()
        self.active = self.stalled = 0

    @property
    def free(self) -> bool:
        """Whether a command could be accepted."""
        return not self._unasked and len(self._transfers) < TRANSFERS

    @property
    def idle(self) -> bool:
        """Whether nothing is on its way."""
        return not self._transfers

    @property
    def room(self) -> bool:
        """Whether a word that comes could be taken."""
        return self._arrived < ARRIVED

    def step(
        self, now: int, *, accept: Load | None, arrives: bool, room: bool
    ) -> tuple[bool, Load | None, bool]:
        """Give an item, take a word, ask for one, accept a command.

        Returns whether it asks for a word, the command whose last item it gives, and whether
        anything else moved.
        """
        ended, moved = self._unpack(now) if self._transfers else (None, False)
        asks = room and self._unasked > 0
        self._unasked -= asks
        self._arrived += arrives
        if accept is not None:
            transfer = _Transfer(accept, self._timing)
            self._transfers.append(transfer)
            self._unasked = transfer.words
            rate = 1 / self._timing.packing(accept.target).words_per_item
            self._fabric.expect(accept.target, transfer.groups, rate)
        return asks, ended, moved or accept is not None

    def _unpack(self, now: int) -> tuple[Load | None, bool]:
        transfer = self._transfers[0]
        transfer.turn = transfer.turn or now
        wants = transfer.unpacking.item
        give = self._fabric.turn(transfer.command.target, now, wants=wants)
        word = self._arrived > 0 and transfer.words > 0
        taken = transfer.unpacking.step(give=give, word=word)
        transfer.left -= give
        transfer.words -= taken
        self._arrived -= taken
        if transfer.left:
            return None, wants or taken
        self._transfers.popleft()
        self.active += transfer.groups
        self.stalled += now - transfer.turn + 1 - transfer.groups
        return transfer.command, True
