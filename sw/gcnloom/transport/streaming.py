# SPDX-License-Identifier: Apache-2.0
"""The host keeps device memory and sends to the device what a segment of a program touches."""

import hashlib
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from gcnloom.errors import LoomError, MemoryFullError
from gcnloom.programs.crossing import without_crossing_tokens
from gcnloom.programs.encoding import LIMBS, decode, unpack_by_opcode
from gcnloom.programs.segments import Segment, Sizes, check_streams, cut, relocate
from gcnloom.transport import NOTHING_JUDGED, Ended, Identity, Judged, Watch
from gcnloom.transport.forecast import Forecast, Plan
from gcnloom.transport.link import Link
from gcnloom.transport.pages import NOWHERE, PageTable, stretches
from gcnloom_spec.isa import COMMAND_BYTES, WORDS
from gcnloom_spec.registers import STATISTICS

__all__ = ["Stream"]

MOST_FRAMES = 1 << 14
"""Pages of the device memory at most; each has as many words as that takes."""
SHARE = 0.25
"""Part of the window that a segment takes, unless a single step needs more: the rest stays for
what is used again."""
PATCHED = "shift"
"""Field that changes from run to run, and neither an address nor a token with it."""


class Stream:
    """Device memory that the host keeps, and a device that has a part of it.

    A program is cut into segments that touch no more than fits. Before each of them the host
    reads back what the device has changed and is in the way, sends what is missing, and lets the
    addresses point to where it lies. What is in the way is what is used again latest. On-chip
    memories keep what they hold from one segment to the next, as from one run to the next.

    Parameters
    ----------
    link : Link
    identity : Identity
        Of the device.
    used : int
        Words of the device that something lies in; it stays at the same addresses.

    Attributes
    ----------
    envelopes, saturations : NDArray[np.int64]
        Of the last run, by tensor id.
    """

    def __init__(self, link: Link, identity: Identity, *, used: int) -> None:
        self._link = link
        page = max(1, -(-identity.memory_words // MOST_FRAMES))
        frames = identity.memory_words // page
        self._sizes = Sizes(
            config=identity.config, page=page, most=frames, wanted=int(SHARE * frames)
        )
        self._page_bytes = page * identity.config.memory_bytes
        self._memory = np.zeros((0, self._page_bytes), dtype=np.uint8)
        self._table, self._forecast = PageTable(frames), Forecast()
        self._counters: Counter[str] = Counter()
        self.envelopes = np.zeros(STATISTICS, dtype=np.int64)
        self.saturations = np.zeros(STATISTICS, dtype=np.int64)
        there = np.arange(min(frames, -(-used // page)))
        self._table.enter(there, there, changed=True)
        if used > frames * page:
            rest = used - frames * page
            self._bytes(frames * page, rest)[:] = np.frombuffer(
                link.read(frames * page, rest), dtype=np.uint8
            )

    def write(self, address: int, data: bytes) -> None:
        """Write whole words; the device gets them when a program touches them."""
        words = len(data) // self._sizes.config.memory_bytes
        target, given = self._bytes(address, words), np.frombuffer(data, dtype=np.uint8)
        pages = self._pages(address, words)
        frames = self._table.frames(pages)
        changed = (frames != NOWHERE) & self._table.changed[frames]
        if not changed.any() and np.array_equal(target, given):
            return
        # Other words of the pages at both ends stay as the device left them.
        self._read_back(pages[changed & np.isin(pages, pages[[0, -1]])])
        self._table.leave(frames[frames != NOWHERE])
        target[:] = given

    def read(self, address: int, words: int) -> bytes:
        """Read whole words, from the device where it has changed them."""
        part = self._bytes(address, words)
        pages = self._pages(address, words)
        frames = self._table.frames(pages)
        self._read_back(pages[(frames != NOWHERE) & self._table.changed[frames]])
        return part.tobytes()

    def run(
        self, program_address: int, commands: int, seed: int, step: int, *,
        judged: Judged = NOTHING_JUDGED, watch: Watch | None = None,
    ) -> Ended:  # fmt: skip
        """Run a program segment by segment; one that goes on to another is refused."""
        raw = self.read(program_address, self._program_words(commands))[: commands * COMMAND_BYTES]
        words = np.frombuffer(raw, dtype="<u8").astype(np.uint64).reshape(commands, LIMBS)
        plan = self._plan(words)
        words[:, 0] = plan.headers
        self._counters.clear()
        self.envelopes[:] = self.saturations[:] = 0
        self._forecast.begin(plan)
        ended, interrupted = Ended(step=step, judged=judged), False
        for number, segment in enumerate(plan.segments):
            part = words[segment.commands.start : segment.commands.stop].copy()
            with self._told(plan, segment):
                base = self._bring(segment, part, number)
                ended = self._link.run(
                    base, len(part), seed, step, judged=ended.judged, watch=watch
                )
            interrupted |= ended.interrupted
            self._add_results()
            self._forecast.passed(segment)
        return replace(ended, interrupted=interrupted)

    def counters(self) -> dict[str, int]:
        """Return the counters of the last run, those of its segments added up."""
        return dict(self._counters)

    def statistics(self) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Return envelopes and saturations of the last run, its segments taken together."""
        return self.envelopes.copy(), self.saturations.copy()

    def _bring(self, segment: Segment, words: NDArray[np.uint64], number: int) -> int:
        """Bring what a segment touches and its commands; return the word where they begin."""
        program = self._sizes.program_pages(len(words))
        bases, base = self._table.place(segment.spans, program, self._worth(number))
        frames = np.concatenate(
            [
                np.arange(first, first + len(span))
                for span, first in zip(segment.spans, bases.tolist(), strict=True)
            ]
            or [np.arange(0)]
        )
        self._make_room(segment, frames, np.arange(base, base + program))
        self._send(segment, frames)
        relocate(words, segment.spans, bases, self._sizes.page)
        data = words.astype("<u8").tobytes()
        size = self._program_words(len(words)) * self._sizes.config.memory_bytes
        self._link.write(base * self._sizes.page, data + bytes(size - len(data)))
        # Whatever comes of the run, the device has these words now.
        fresh = self._table.page_of[frames] != segment.pages
        self._table.enter(frames[fresh], segment.pages[fresh], changed=True)
        self._table.changed[frames[segment.written]] = True
        return base * self._sizes.page

    def _add_results(self) -> None:
        """Add what the last segment has counted."""
        self._counters.update(self._link.counters())
        envelopes, saturations = self._link.statistics()
        self.envelopes |= envelopes
        self.saturations += saturations

    @contextmanager
    def _told(self, plan: Plan, segment: Segment) -> Iterator[None]:
        """Stay in order should a segment fail, and say which it was."""
        try:
            yield
        except BaseException as error:
            self._table.refresh()
            if isinstance(error, LoomError) and len(plan.segments) > 1:
                first, last = segment.commands.start, segment.commands.stop - 1
                raise type(error)(f"commands {first}..{last} of the program: {error}") from error
            raise

    def _make_room(
        self, segment: Segment, frames: NDArray[np.int64], program: NDArray[np.int64]
    ) -> None:
        """Read back, if need be, what lies in other pages' frames or has to move."""
        table = self._table
        there = table.frames(segment.pages)
        moving = (there != NOWHERE) & (there != frames)
        # What is overwritten before anybody reads it need not come back.
        table.leave(there[moving & ~segment.fetched])
        claimed = np.concatenate([frames, program])
        wanted = np.concatenate([segment.pages, np.full(len(program), NOWHERE)])
        inside = table.page_of[claimed]
        strangers = claimed[(inside != NOWHERE) & (inside != wanted)]
        leaving = np.union1d(strangers, there[moving & segment.fetched])
        self._read_back(table.page_of[leaving[table.changed[leaving]]])
        table.leave(leaving)

    def _send(self, segment: Segment, frames: NDArray[np.int64]) -> None:
        """Send what a segment reads and is not there yet."""
        sent = segment.fetched & (self._table.page_of[frames] != segment.pages)
        self._cover(segment.pages)
        for part in stretches(frames[sent], segment.pages[sent]):
            pages, targets = segment.pages[sent][part], frames[sent][part]
            data = self._memory[pages[0] : pages[-1] + 1].tobytes()
            self._link.write(int(targets[0]) * self._sizes.page, data)
            self._table.enter(targets, pages, changed=False)

    def _read_back(self, pages: NDArray[np.int64]) -> None:
        """Read what the device has changed."""
        pages = np.sort(pages)
        self._cover(pages)
        frames = self._table.frames(pages)
        for part in stretches(frames, pages):
            first, count = int(frames[part][0]), len(frames[part])
            data = self._link.read(first * self._sizes.page, count * self._sizes.page)
            self._memory[pages[part]] = np.frombuffer(data, dtype=np.uint8).reshape(count, -1)
            self._table.changed[frames[part]] = False

    def _worth(self, number: int) -> NDArray[np.float64]:
        """Say how many pages it saves to move that each frame keeps what is in it.

        The sooner that is used again the more; twice as much if it had to be read back.
        """
        page_of = self._table.page_of
        wait = 1 + np.maximum(0, self._forecast.due(page_of) - number)
        return np.where(page_of == NOWHERE, 0.0, (1.0 + self._table.changed) / wait)

    def _plan(self, words: NDArray[np.uint64]) -> Plan:
        """Cut a program, unless one that differs in nothing that matters was cut before."""
        key = _key(words)
        plan = self._forecast.known(key)
        if plan is None:
            check_streams(words)
            segments = cut(decode(words), self._sizes)
            starts = np.array([segment.commands.start for segment in segments])
            headers = without_crossing_tokens(words, starts)[:, 0].copy()
            plan = Plan(key=key, segments=segments, headers=headers)
        return plan

    def _program_words(self, commands: int) -> int:
        return -(-commands * COMMAND_BYTES // self._sizes.config.memory_bytes)

    def _pages(self, address: int, words: int) -> NDArray[np.int64]:
        page = self._sizes.page
        return np.arange(address // page, -(-(address + words) // page))

    def _bytes(self, address: int, words: int) -> NDArray[np.uint8]:
        """Words that the host keeps."""
        self._cover(self._pages(address, words))
        size = self._sizes.config.memory_bytes
        return self._memory.reshape(-1)[address * size : (address + words) * size]

    def _cover(self, pages: NDArray[np.int64]) -> None:
        """Have room for pages; it grows by doubling."""
        need = int(pages.max(initial=-1)) + 1
        if need <= len(self._memory):
            return
        try:
            grown = np.zeros((max(need, 2 * len(self._memory)), self._page_bytes), dtype=np.uint8)
        except MemoryError as error:
            raise MemoryFullError(
                f"the host cannot keep {need * self._page_bytes:,} bytes of device memory; try a "
                "smaller graph or a host with more memory"
            ) from error
        grown[: len(self._memory)] = self._memory
        self._memory = grown


def _key(words: NDArray[np.uint64]) -> bytes:
    """Digest of all fields but the patched ones."""
    masked = words.copy()
    for opcode, (where, _) in unpack_by_opcode(words).items():
        word = WORDS[opcode]
        if PATCHED in word.fields:
            ones = word.pack(**{PATCHED: (1 << word.fields[PATCHED]) - 1})
            masked[where, : word.limbs] &= ~ones
    return hashlib.sha256(masked.tobytes()).digest()
