# SPDX-License-Identifier: Apache-2.0
"""Which part of a program each element of each engine does, and what passes between engines.

Within a device work is dealt as between devices under mixture of parallelism: processing elements
split the edges, their lanes the features, of which those that are more than lanes come in slices,
all of the same edges; the array takes the nodes one by one; and the fabric switches between rows of
nodes and slices of features.
"""

from collections import Counter
from dataclasses import dataclass

import numpy as np

from gcnloom.programs.program import Program
from gcnloom_spec.commands import Aggregate, Drain, Emission, Transform
from gcnloom_spec.config import AcceleratorConfig
from gcnloom_spec.isa import Destination, Mode
from gcnloom_spec.items import edge_word, order_word

__all__ = ["Shares", "shares_of"]


@dataclass(frozen=True, kw_only=True)
class Shares:
    """What a run of a program comes to.

    Attributes
    ----------
    edges : tuple of int
        By processing element: edges multiplied, each by a slice of as many features as lanes.
    entries : tuple of int
        By processing element: sums that a drain reads; parts of a split row are several.
    edge_slots : int
        Beats times elements: edges there was time for.
    rows : int
        Nodes through the array, each through R x C multipliers.
    fabric : dict[str, int]
        Vectors from ``"aggregate"`` or ``"transform"`` to the other engine, as ``"aggregate to
        left"``, and to device memory, ``"... to store"``. One may take both ways.
    vectors : dict[str, int]
        Vectors that each engine lets out.
    vector_bytes : int
        Of a vector of operands.
    """

    edges: tuple[int, ...]
    entries: tuple[int, ...]
    edge_slots: int
    rows: int
    fabric: dict[str, int]
    vectors: dict[str, int]
    vector_bytes: int

    @property
    def imbalance(self) -> float:
        """Edges of the element that has most over the mean; 1 without edges."""
        total = sum(self.edges)
        return max(self.edges) * len(self.edges) / total if total else 1.0


def shares_of(program: Program, config: AcceleratorConfig) -> Shares:
    """Count a program's work by who does it, from its commands and what they find on chip.

    Parameters
    ----------
    program : Program
        As it was lowered: one read from a file does not know its edges.
    config : AcceleratorConfig
    """
    edges = np.zeros(config.pes, dtype=np.int64)
    entries = np.zeros(config.pes, dtype=np.int64)
    rows = beats = 0
    fabric: Counter[str] = Counter()
    vectors: Counter[str] = Counter()
    for number, command in enumerate(program.commands):
        match command:
            case Aggregate():
                found = edge_word(config).unpack(program.contents[number][..., np.newaxis])
                edges += np.count_nonzero(found["valid"], axis=0)
                beats += command.count
            case Drain():
                found = order_word(config).unpack(program.contents[number][:, np.newaxis])
                entries += np.bincount(found["pe"], minlength=config.pes)
                _emitted("aggregate", command.emission, fabric, vectors)
            case Transform():
                rows += command.count if command.mode != Mode.PASS else 0
                _emitted("transform", command.emission, fabric, vectors)
    return Shares(
        edges=tuple(edges.tolist()), entries=tuple(entries.tolist()), rows=rows,
        edge_slots=beats * config.pes, fabric=dict(fabric), vectors=dict(vectors),
        vector_bytes=config.lanes * config.operand_bytes,
    )  # fmt: skip


def _emitted(engine: str, emission: Emission, fabric: Counter[str], vectors: Counter[str]) -> None:
    vectors[engine] += emission.vectors
    ways = [Destination(emission.destination).name.lower()] if emission.destination else []
    ways += ["store"] * emission.store + ["step"] * emission.step
    for way in ways:
        fabric[f"{engine} to {way}"] += emission.vectors
