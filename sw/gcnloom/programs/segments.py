# SPDX-License-Identifier: Apache-2.0
"""A program cut into segments, none of which touches more device memory than there is."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from gcnloom.errors import MemoryFullError
from gcnloom.programs.access import DEVICE, accesses_of
from gcnloom.programs.encoding import opcodes
from gcnloom.programs.steps import steps
from gcnloom_spec.commands import Command, Loss, Store
from gcnloom_spec.config import AcceleratorConfig, Packing
from gcnloom_spec.isa import COMMAND_BYTES, WORDS, Opcode

__all__ = ["ADDRESSES", "NEVER", "Segment", "Sizes", "cut", "relocate"]

ADDRESSES: Mapping[Opcode, tuple[str, ...]] = {
    Opcode.LOAD: ("address",),
    Opcode.AGGREGATE: (),
    Opcode.DRAIN: (),
    Opcode.TRANSFORM: (),
    Opcode.STORE: ("address",),
    Opcode.LOSS: ("address", "labels", "gradients"),
    Opcode.STEP: ("address", "operands"),
    Opcode.SCALE: (),
}
"""Fields with addresses of what lies in device memory, of each command that a segment may have.

The record of a loss, whose place depends on the step, lies behind the segment's commands.
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

    def program_words(self, commands: int) -> int:
        """Words of so many commands."""
        return -(-commands * COMMAND_BYTES // self.config.memory_bytes)

    def program_pages(self, commands: int, losses: int) -> int:
        """Pages of so many commands and of the records that so many losses leave."""
        records = losses * self.config.record.words_per_item
        return -(-(self.program_words(commands) + records) // self.page)


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
            moved = (bases[span] - firsts[span]) * page
            columns[name] += (
                np.where(columns["gradient"], moved, 0) if name == "gradients" else moved
            )
        words[where, : word.limbs] = word.pack(**columns)


def _touches(command: Command, sizes: Sizes) -> Iterator[_Touch]:
    config = sizes.config
    match command:
        case Store():
            packing = config.sums if command.raw else config.vector
            yield _written(sizes, command.address, command.count, packing)
        case Loss():
            yield from _loss_touches(command, sizes)
        case _:
            for access in accesses_of(command, config):
                if access.space == DEVICE and access.high > access.low:
                    yield _touch(sizes, access.low, access.high, write=access.write)


def _loss_touches(command: Loss, sizes: Sizes) -> Iterator[_Touch]:
    """Touches of a loss: panels, which are as far apart as it says, keep their distance."""
    config, apart = sizes.config, range(command.panels)
    logits = command.address + apart[-1] * command.pitch + config.sums.words(command.count)
    yield _touch(sizes, command.address, logits)
    labels = command.labels + config.label.words(command.count)
    yield _touch(sizes, command.labels, labels)
    if command.gradient:
        starts = [command.gradients + panel * command.gradient_pitch for panel in apart]
        for start in starts:
            yield _written(sizes, start, command.count, config.vector)
        last = starts[-1] + config.vector.words(command.count)
        yield _touch(sizes, command.gradients, last, write=True)


def _written(sizes: Sizes, address: int, count: int, packing: Packing) -> _Touch:
    """Items that are written; the bytes of the last word that no item fills are kept."""
    full = address + count * packing.item_bytes // sizes.config.memory_bytes
    return _touch(sizes, address, address + packing.words(count), full=full, write=True)


def _touch(
    sizes: Sizes, low: int, high: int, *, full: int | None = None, write: bool = False
) -> _Touch:
    """Words `low` up to `high` that are touched, of which those up to `full` are overwritten."""
    first, last = low // sizes.page, -(-high // sizes.page)
    if full is None:
        return _Touch(first, last, last, last, write)
    whole_first = -(-low // sizes.page)
    return _Touch(first, last, whole_first, max(whole_first, full // sizes.page), write)


def _ranges(
    commands: Sequence[Command],
    touches: Sequence[Sequence[_Touch]],
    sizes: Sizes,
    stamps: Pages,
) -> Iterator[range]:
    """Commands of each segment; `stamps` tells which one touched a page last."""
    start = number = pages = losses = 0
    for step in steps(commands):
        inside = [touch for index in step for touch in touches[index]]
        records = sum(isinstance(commands[index], Loss) for index in step)
        more = _stamp(stamps, inside, number)
        program = sizes.program_pages(step.stop - start, losses + records)
        if pages + more + program > sizes.wanted and step.start > start:
            yield range(start, step.start)
            start, number, pages, losses = step.start, number + 1, 0, 0
            more = _stamp(stamps, inside, number)
        pages, losses = pages + more, losses + records
        need = pages + sizes.program_pages(step.stop - start, losses)
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
