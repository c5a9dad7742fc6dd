# SPDX-License-Identifier: Apache-2.0
"""Emissions cut where the rows end that count in a tensor's statistics."""

from dataclasses import replace

from gcnloom.lower.builder import Output
from gcnloom_spec.commands import Emission

__all__ = ["parts"]


def parts(output: Output, emission: Emission) -> list[tuple[range, Emission]]:
    """Vectors of an emission, from 0 on, with the emission of each part.

    The parts reach memory as one: the store that takes the whole emission takes them in turn.
    """
    total = emission.vectors
    cut = total if output.counted is None else output.counted - emission.row
    if cut >= total:
        return [(range(total), emission)]
    cut = max(0, cut)
    outside = replace(
        emission, vectors=total - cut, row=emission.row + cut, tensor=output.outside,
        mask_base=emission.mask_base + (cut if emission.mask else 0),
        destination_base=emission.destination_base + (cut if emission.destination else 0),
    )  # fmt: skip
    if not cut:
        return [(range(total), outside)]
    return [(range(cut), replace(emission, vectors=cut)), (range(cut, total), outside)]
