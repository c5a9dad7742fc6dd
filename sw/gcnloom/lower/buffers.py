# SPDX-License-Identifier: Apache-2.0
"""What lies in an on-chip memory while a program is lowered: cached and pinned regions."""

from dataclasses import dataclass

from gcnloom.errors import ConfigError

__all__ = ["TURNS", "Arena", "NoRoomError"]

TURNS = 3
"""Places that small regions of one size take in turn: in use, waiting, being filled."""


class NoRoomError(ConfigError):
    """An on-chip memory cannot hold at once what is to be in it."""


@dataclass
class Region:
    """Rows `span` of the tensor `key`, from on-chip address `base` on, and room up to `end`."""

    key: str
    span: range
    base: int
    end: int
    pinned: bool


class Arena:
    """Place regions one behind the other, over the oldest; find what is still there.

    What is pinned lies as low as it can, and stays there until it is released; the rest is a
    cache. Small regions that come and go are placed from the end down, out of the way of large
    ones. The dependence tokens do what double buffering takes beyond that.

    Parameters
    ----------
    name : str
        Used in error messages.
    depth : int
        Addresses of the memory.
    unit : int
        Regions begin at multiples of it.
    around : bool
        Pinned regions follow each other too, so that one that was let go of may still be read
        while its successor is written.
    """

    def __init__(self, name: str, depth: int, unit: int = 1, *, around: bool = False) -> None:
        self.name = name
        self.depth = depth - depth % unit
        self._unit = unit
        self._around = around
        self._regions: list[Region] = []
        self._next = 0
        self._low = self.depth

    def find(self, key: str, span: range) -> int | None:
        """Address of rows `span` of `key`, or None if they are not all in one region."""
        region = self._holding(key, span)
        return None if region is None else region.base + span.start - region.span.start

    def place(self, key: str, span: range, *, pinned: bool = False, high: bool = False) -> int:
        """Make room for rows `span` of `key`, `high` up or behind the last; return the address.

        Raises
        ------
        NoRoomError
            There is no room beside what is pinned.
        """
        size = -(-len(span) // self._unit) * self._unit
        low = pinned and not self._around
        base = self._turn(size) if high else self._room(size, 0 if low else self._next)
        if base is None:
            held = sum(len(region.span) for region in self._regions if region.pinned)
            raise NoRoomError(
                f"{key!r} needs {len(span)} rows of the {self.name} memory, of whose "
                f"{self.depth} rows {held} are in use; try a configuration with {self.name}_depth "
                f"of at least {len(span) + held}"
            )
        end = base + size
        self._regions = [
            region for region in self._regions if region.base >= end or region.end <= base
        ]
        self._regions.append(Region(key, span, base, end, pinned))
        if high:
            self._low = base
        else:
            self._next = end
        return base

    def together(self, count: int, size: int) -> None:
        """Let `count` regions of `size` rows follow each other, from the start if need be."""
        if self._next + count * -(-size // self._unit) * self._unit > self.depth:
            self._next = 0

    def fits(self, size: int) -> bool:
        """Whether a region of `size` rows could be placed beside what is pinned."""
        return self._room(-(-size // self._unit) * self._unit, 0) is not None

    def pin(self, key: str, span: range) -> None:
        """Keep the region that holds rows `span` of `key`, if there is one."""
        region = self._holding(key, span)
        if region is not None:
            region.pinned = True

    def release(self, key: str, span: range) -> None:
        """Let go of the regions of `key` that begin within `span`."""
        for region in self._regions:
            if region.key == key and region.span.start in span:
                region.pinned = False

    def _holding(self, key: str, span: range) -> Region | None:
        for region in reversed(self._regions):
            if (
                region.key == key
                and region.span.start <= span.start
                and span.stop <= region.span.stop
            ):
                return region
        return None

    def _turn(self, size: int) -> int | None:
        """Where a small region goes: below the last one, or from the end down again."""
        pinned = self._pinned()
        base = self._low - size
        if base < max(0, self.depth - TURNS * size) or any(
            low < base + size and base < high for low, high in pinned
        ):
            base = self.depth - size
            for low, high in reversed(pinned):
                if low < base + size and base < high:
                    base = low - size
        return base if base >= 0 else None

    def _room(self, size: int, first: int) -> int | None:
        """Where `size` rows fit, from `first` on and then from the start."""
        for start in (first, 0):
            base = start
            for low, high in self._pinned():
                if high > base and low < base + size:
                    base = high
            if base + size <= self.depth:
                return base
        return None

    def _pinned(self) -> list[tuple[int, int]]:
        return sorted((region.base, region.end) for region in self._regions if region.pinned)
