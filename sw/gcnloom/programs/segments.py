# SPDX-License-Identifier: Apache-2.0
"""A program cut into segments, none of which touches more device memory than there is."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from gcnloom.errors import MemoryFullError, ProgramError
from gcnloom.programs.access import DEVICE, accesses_of
from gcnloom.programs.encoding import opcodes
from gcnloom.programs.steps import steps
from gcnloom_spec.commands import Command, Store
from gcnloom_spec.config import AcceleratorConfig
from gcnloom_spec.isa import COMMAND_BYTES, WORDS, Opcode

__all__ = ["ADDRESSES", "NEVER", "Segment", "Sizes", "check_streams", "cut", "relocate"]

ADDRESSES: Mapping[Opcode, tuple[str, ...]] = {
    Opcode.LOAD: ("address",),
    Opcode.AGGREGATE: (),
    Opcode.DRAIN: (),
    Opcode.TRANSFORM: (),
    Opcode.STORE: ("address",),
}
"""Fields with addresses of device memory, of each command that a segment may have.

Scales follow from the statistics of a whole run, which the start of a segment clears, and a repeat
knows of one place only: neither they nor what goes with them may be cut.
"""
NEVER = 1 << 40
"""Number of a segment that does not come."""

Pages = NDArray[np.int64]


@dataclass(frozen=True, kw_only=True)
class Sizes:
    """What segments have to fit.

    Parameters
    ----------
    config : AcceleratorConfig
    page : int
        Words of a page, by which memory is counted.
    most : int
        Pages that there are.
    wanted : int
        Pages beyond which a segment goes only where a single step does.
    """

    config: AcceleratorConfig
    page: int
    most: int
    wanted: int

    def program_pages(self, commands: int) -> int:
        """Pages of so many commands."""
        return -(-commands * COMMAND_BYTES // (self.config.memory_bytes * self.page))


@dataclass(frozen=True, kw_only=True, eq=False)
class Segment:
    """Commands that run in one go, and the pages of device memory that they touch.

    Attributes
    ----------
    commands : range
    spans : tuple of range
        Pages that have to lie one behind the other, ascending; together all that are touched.
    pages : NDArray[np.int64]
        The same, each by itself.
    fetched : NDArray[np.bool_]
        Of these, those of which something is read, or kept, that was there before.
    written : NDArray[np.bool_]
        Of these, those that are written.
    following : NDArray[np.int64]
        Number of the next segment that touches each of them, :data:`NEVER` if none does.
    """

    commands: range
    spans: tuple[range, ...]
    pages: Pages
    fetched: NDArray[np.bool_]
    written: NDArray[np.bool_]
    following: Pages


class _Touch(NamedTuple):
    """Pages `first` up to `last`, of which `whole_first` up to `whole_last` are overwritten."""

    first: int
    last: int
    whole_first: int
    whole_last: int
    write: bool


def check_streams(words: NDArray[np.uint64]) -> None:
    """Raise :class:`~gcnloom.errors.ProgramError` for commands that cannot run in segments."""
    whole = [int(opcode) for opcode in Opcode if opcode not in ADDRESSES]
    found = np.flatnonzero(np.isin(opcodes(words), whole))
    if len(found):
        name = Opcode(int(opcodes(words)[found[0]])).name.lower()
        raise ProgramError(
            f"command {found[0]} ({name}) belongs to a training on the device, which does not run "
            "while the host streams what the device memory has no room for; try more "
            "memory_megabytes or the update on the host"
        )


def cut(commands: Sequence[Command], sizes: Sizes) -> list[Segment]:
    """Cut a program where no store is under way, as seldom as memory allows.

    Raises
    ------
    MemoryFullError
        A single step touches more than there is.
    """
    touches = [list(_touches(command, sizes)) for command in commands]
    highest = max((touch.last for each in touches for touch in each), default=0)
    stamps = np.full(highest, -1)
    ranges = list(_ranges(commands, touches, sizes, stamps))
    upcoming = np.full(highest, NEVER)
    marks = np.full((2, highest), -1)
    segments = []
    for number in reversed(range(len(ranges))):
        inside = [touch for index in ranges[number] for touch in touches[index]]
        segments.append(_segment(ranges[number], inside, number, marks, upcoming))
    return segments[::-1]


def relocate(words: NDArray[np.uint64], spans: Sequence[range], bases: Pages, page: int) -> None:
    """Let commands, in place, find each span of pages from page ``bases[...]`` on."""
    firsts = np.array([span.start for span in spans], dtype=np.int64)
    for opcode, names in ADDRESSES.items():
        word = WORDS[opcode]
        where = np.flatnonzero(opcodes(words) == opcode)
        if not (len(where) and names):
            continue
        columns = word.unpack(words[where, : word.limbs])
        for name in names:
            span = np.searchsorted(firsts, columns[name] // page, side="right") - 1
            columns[name] += (bases[span] - firsts[span]) * page
        words[where, : word.limbs] = word.pack(**columns)


def _touches(command: Command, sizes: Sizes) -> Iterator[_Touch]:
    if not ADDRESSES[command.opcode]:
        return
    for access in accesses_of(command, sizes.config):
        if access.space != DEVICE or access.high == access.low:
            continue
        first, last = access.low // sizes.page, -(-access.high // sizes.page)
        whole_first = whole_last = last
        if isinstance(command, Store):
            # The bytes of the last word that no item fills are kept.
            config = sizes.config
            packing = config.sums if command.raw else config.vector
            full = command.count * packing.item_bytes // config.memory_bytes
            whole_first = -(-access.low // sizes.page)
            whole_last = max(whole_first, (access.low + full) // sizes.page)
        yield _Touch(first, last, whole_first, whole_last, access.write)


def _ranges(
    commands: Sequence[Command],
    touches: Sequence[Sequence[_Touch]],
    sizes: Sizes,
    stamps: Pages,
) -> Iterator[range]:
    """Commands of each segment; `stamps` tells which one touched a page last."""
    start = number = pages = 0
    for step in steps(commands):
        inside = [touch for index in step for touch in touches[index]]
        more = _stamp(stamps, inside, number)
        if pages + more + sizes.program_pages(step.stop - start) > sizes.wanted and (
            step.start > start
        ):
            yield range(start, step.start)
            start, number, pages = step.start, number + 1, 0
            more = _stamp(stamps, inside, number)
        pages += more
        need = pages + sizes.program_pages(step.stop - start)
        if need > sizes.most:
            raise _too_small(step, need, sizes)
    yield range(start, len(commands))


def _stamp(stamps: Pages, touches: Sequence[_Touch], number: int) -> int:
    """Mark pages as touched by a segment; return how many were not yet."""
    more = 0
    for touch in touches:
        part = stamps[touch.first : touch.last]
        more += int(np.count_nonzero(part != number))
        part[:] = number
    return more


def _segment(
    commands: range, touches: Sequence[_Touch], number: int, marks: Pages, upcoming: Pages
) -> Segment:
    """Gather what a segment touches; `upcoming` is the first later segment that does so too."""
    overwritten, fetched = marks
    for touch in touches:
        for part in (
            slice(touch.first, touch.whole_first),
            slice(touch.whole_last, touch.last),
        ):
            fetched[part][overwritten[part] != number] = number
        overwritten[touch.whole_first : touch.whole_last] = number
    spans = _spans(touches)
    pages = np.concatenate([np.arange(span.start, span.stop) for span in spans] or [np.arange(0)])
    written = np.zeros(len(pages), dtype=np.bool_)
    for touch in touches:
        if touch.write:
            low, high = np.searchsorted(pages, (touch.first, touch.last))
            written[low:high] = True
    segment = Segment(
        commands=commands,
        spans=spans,
        pages=pages,
        fetched=fetched[pages] == number,
        written=written,
        following=upcoming[pages],
    )
    upcoming[pages] = number
    return segment


def _spans(touches: Sequence[_Touch]) -> tuple[range, ...]:
    """Pages that touches share lie together; those that merely meet need not."""
    spans: list[range] = []
    for first, last in sorted({(touch.first, touch.last) for touch in touches}):
        if spans and first < spans[-1].stop:
            spans[-1] = range(spans[-1].start, max(last, spans[-1].stop))
        else:
            spans.append(range(first, last))
    return tuple(spans)


def _too_small(step: range, need: int, sizes: Sizes) -> MemoryFullError:
    size = sizes.page * sizes.config.memory_bytes
    return MemoryFullError(
        f"commands {step.start}..{step.stop - 1} need {need * size:,} bytes of device memory at "
        f"once and {sizes.most * size:,} are there; try a device with at least "
        f"{-(-need * size >> 20)} MiB"
    )
