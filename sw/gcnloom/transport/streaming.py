# SPDX-License-Identifier: Apache-2.0
"""The host keeps device memory and sends to the device what a segment of a program touches."""

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext

import numpy as np
from numpy.typing import NDArray

from gcnloom.errors import LoomError, MemoryFullError
from gcnloom.programs.encoding import LIMBS, opcodes
from gcnloom.programs.records import Lent, lend_records
from gcnloom.programs.repeating import Sequencer
from gcnloom.programs.segments import Segment, Sizes, relocate
from gcnloom.transport import NOTHING_JUDGED, Ended, Identity, Judged, Watch
from gcnloom.transport.forecast import Forecast
from gcnloom.transport.interrupt import held_back
from gcnloom.transport.link import Link
from gcnloom.transport.pages import NOWHERE, PageTable, stretches
from gcnloom.transport.plans import Part, Plan
from gcnloom_spec.isa import COMMAND_BYTES, Opcode

__all__ = ["Stream"]

MOST_FRAMES = 1 << 14
"""Pages of the device memory at most; each has as many words as that takes."""
SHARE = 0.25
"""Part of the window that a segment takes, unless a single step needs more: the rest stays for
what is used again."""


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
        judged: Judged = NOTHING_JUDGED, watch: Watch | None = None, keep: bool = False,
    ) -> Ended:  # fmt: skip
        """Run a program segment by segment, and do what its repeats say."""
        self._counters.clear()
        sequencer = Sequencer(step=step, count=commands)
        parts: dict[tuple[int, int], Part] = {}
        # An interruption would end the segment that it meets; it is to end the epoch.
        with held_back() if watch else nullcontext(bool) as asked:
            while sequencer.count:
                place = sequencer.offset, sequencer.count
                if place not in parts:
                    parts[place] = self._part(program_address + place[0], place[1])
                part = parts[place]
                judged = self._run_part(part, seed, sequencer.step, judged, keep=keep)
                keep = True
                sequencer.follow(part.repeat, worse=judged.worse, finish=asked())
                if watch and part.repeat.advance:
                    watch(sequencer.step)
            return Ended(step=sequencer.step, judged=judged, interrupted=asked())

    def counters(self) -> dict[str, int]:
        """Return the counters of the last run, those of its segments added up."""
        return dict(self._counters)

    def statistics(self) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Return envelopes and saturations of the last run, of which each segment keeps all."""
        return self._link.statistics()

    def _run_part(self, part: Part, seed: int, step: int, judged: Judged, *, keep: bool) -> Judged:
        """Run commands up to a repeat; return what is judged then."""
        plan = self._forecast.known(part.key) or Plan.of(part, self._sizes)
        words = part.words.copy()
        words[:, 0] = plan.headers
        self._forecast.begin(plan)
        for number, segment in enumerate(plan.segments):
            inside = words[segment.commands.start : segment.commands.stop].copy()
            with self._told(plan, segment):
                base, lent = self._bring(segment, inside, number, step)
                ended = self._link.run(base, len(inside), seed, step, judged=judged, keep=keep)
                self._put_home(lent)
            judged, keep = ended.judged, True
            self._counters.update(self._link.counters())
            self._forecast.passed(segment)
        return judged

    def _bring(
        self, segment: Segment, words: NDArray[np.uint64], number: int, step: int
    ) -> tuple[int, Lent]:
        """Bring what a segment touches and its commands.

        Returns the word where these begin, and the records that will lie behind them.
        """
        losses = int(np.count_nonzero(opcodes(words) == Opcode.LOSS))
        program = self._sizes.program_pages(len(words), losses)
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
        config, start = self._sizes.config, base * self._sizes.page
        own = self._sizes.program_words(len(words))
        lent = lend_records(words, start + own, step, config.record)
        data = words.astype("<u8").tobytes()
        self._link.write(start, data.ljust(own * config.memory_bytes, b"\0"))
        # Whatever comes of the run, the device has these words now.
        fresh = self._table.page_of[frames] != segment.pages
        self._table.enter(frames[fresh], segment.pages[fresh], changed=True)
        self._table.changed[frames[segment.written]] = True
        return start, lent

    def _put_home(self, lent: Lent) -> None:
        """Put records that the device has left behind a program where they belong."""
        if not lent.homes:
            return
        each = lent.words // len(lent.homes)
        data = self._link.read(lent.address, lent.words)
        for number, home in enumerate(lent.homes):
            item = bytearray(self.read(home, each))
            left = data[number * len(item) : (number + 1) * len(item)]
            item[lent.bytes_of] = left[lent.bytes_of]
            self.write(home, bytes(item))

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

    def _part(self, address: int, commands: int) -> Part:
        """Commands that lie in the memory."""
        raw = self.read(address, self._sizes.program_words(commands))[: commands * COMMAND_BYTES]
        words = np.frombuffer(raw, dtype="<u8").astype(np.uint64)
        return Part.of(words.reshape(commands, LIMBS))

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
