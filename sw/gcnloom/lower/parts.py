# SPDX-License-Identifier: Apache-2.0
"""Emissions cut where the rows end that count in a tensor's statistics, or a root term begins."""

from dataclasses import replace
from itertools import pairwise

from gcnloom.lower.builder import Output
from gcnloom_spec.commands import Emission

__all__ = ["ROOT_ROWS", "parts"]

ROOT_ROWS = 1 << 31
"""Rows of a root term draw as rows from here on do: wherever it begins, with the same bits."""


def parts(output: Output, emission: Emission) -> list[tuple[range, Emission]]:
    """Vectors of an emission, from 0 on, with the emission of each part.

    The parts reach memory as one: the store that takes the whole emission takes them in turn.
    """
    total, first = emission.vectors, emission.row
    places = (output.counted, output.root or None, _root_end(output))
    ends = {place - first for place in places if place is not None}
    inside = sorted({0, total} | {end for end in ends if 0 < end < total})
    return [
        (range(start, stop), _part(output, emission, start, stop - start))
        for start, stop in pairwise(inside)
    ]


def _root_end(output: Output) -> int | None:
    """Row from which on a root term's are not counted."""
    return None if output.root_counted is None else output.root + output.root_counted


def _part(output: Output, emission: Emission, start: int, vectors: int) -> Emission:
    """Return the emission of so many vectors from one on."""
    row = emission.row + start
    root = output.root and row >= output.root
    end = _root_end(output) if root else output.counted
    return replace(
        emission, vectors=vectors, row=row - output.root + ROOT_ROWS if root else row,
        tensor=emission.tensor if end is None or row < end else output.outside,
        mask_base=emission.mask_base + (start if emission.mask else 0),
        destination_base=emission.destination_base + (start if emission.destination else 0),
    )  # fmt: skip
