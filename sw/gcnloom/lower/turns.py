# SPDX-License-Identifier: Apache-2.0
"""Products as iterators that emit their commands step by step, and how they take turns."""

from collections.abc import Iterable, Iterator

__all__ = ["exhaust", "in_turn", "there"]


def exhaust(parts_done: Iterable[range | None]) -> None:
    """Emit all commands of a product whose rows nobody waits for."""
    for _ in parts_done:
        pass


def there(rows: int, part: int) -> Iterator[range]:
    """Yield the parts of an operand that lies in device memory."""
    for start in range(0, rows, part):
        yield range(start, min(start + part, rows))


def in_turn(
    making: Iterable[range], leaving: Iterator[range], *, finish: bool = True
) -> Iterator[range]:
    """Yield what `making` does; after each of its steps let `leaving` take one, and all at last.

    Without `finish` what is left of `leaving` then stays for later.
    """
    for rows in making:
        yield rows
        next(leaving, None)
    if finish:
        exhaust(leaving)
