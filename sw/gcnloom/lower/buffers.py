# SPDX-License-Identifier: Apache-2.0
"""What lies in an on-chip memory while a program is lowered: a ring of cached regions."""

from dataclasses import dataclass

from gcnloom.errors import ConfigError

__all__ = ["Ring"]


@dataclass(frozen=True)
class Region:
    """Rows `span` of the tensor `key`, from on-chip address `base` on."""

    key: str
    span: range
    base: int


class Ring:
    """Place regions one behind the other, over the oldest; find what is still there.

    Two consecutive regions never overlap if neither is longer than half the memory: that is
    all that double buffering takes, the dependence tokens do the rest.

    Parameters
    ----------
    name : str
        Used in error messages.
    depth : int
        Addresses of the memory.
    """

    def __init__(self, name: str, depth: int) -> None:
        self.name = name
        self.depth = depth
        self._regions: list[Region] = []
        self._next = 0

    def find(self, key: str, span: range) -> int | None:
        """Address of rows `span` of `key`, or None if they are not all in one region."""
        for region in reversed(self._regions):
            if (
                region.key == key
                and region.span.start <= span.start
                and span.stop <= region.span.stop
            ):
                return region.base + span.start - region.span.start
        return None

    def place(self, key: str, span: range) -> int:
        """Make room for rows `span` of `key`; return the address.

        Raises
        ------
        ConfigError
            The region is longer than the memory.
        """
        size = len(span)
        if size > self.depth:
            raise ConfigError(
                f"{key!r} needs {size} rows of the {self.name} memory, which has {self.depth}; "
                f"try a configuration with {self.name}_depth of at least {size}"
            )
        base = self._next if self._next + size <= self.depth else 0
        self._regions = [
            region
            for region in self._regions
            if region.base >= base + size or region.base + len(region.span) <= base
        ]
        self._regions.append(Region(key, span, base))
        self._next = base + size
        return base
