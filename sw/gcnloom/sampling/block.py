# SPDX-License-Identifier: Apache-2.0
"""A batch's layered block, one worker's share of it: vertices, edges, and whom to exchange with."""

from collections import Counter
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

from gcnloom.parallel.communicator import Communicator
from gcnloom.sampling.draws import owners
from gcnloom.sampling.samplers import Sampler
from gcnloom.sampling.topology import Edges

__all__ = ["Block", "Share", "block_bytes", "sample_block"]

Vertices = NDArray[np.int64]
ID = np.dtype(np.uint32)
"""Vertices travel as these."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Share:
    """One layer of a block, as one worker has it.

    Vertices are ascending. Each vertex has one owner, who computes its rows.

    Attributes
    ----------
    targets : NDArray[np.int64]
        Vertices whose outputs this worker owns.
    sources : NDArray[np.int64]
        Vertices that they listen to, the targets among them.
    weights : csr_array
        Float64, shape ``(targets, sources)``: the edges kept.
    own : NDArray[np.int64]
        Inputs that this worker owns: what the workers' targets listen to, and its targets.
    sends : list of NDArray[np.int64]
        Places in `own` of the rows that each worker needs.
    places : list of NDArray[np.int64]
        Places in `sources` of the rows that each worker owns.
    """

    targets: Vertices
    sources: Vertices
    weights: csr_array
    own: Vertices
    sends: list[Vertices]
    places: list[Vertices]


@dataclass(frozen=True, kw_only=True, eq=False)
class Block:
    """All layers of a batch, as one worker has them.

    Attributes
    ----------
    layers : tuple of Share
        The one next to the input first; the targets of a layer are the `own` of the next.
    """

    layers: tuple[Share, ...]

    @property
    def seeds(self) -> Vertices:
        """Vertices whose logits this worker computes."""
        return self.layers[-1].targets

    @property
    def inputs(self) -> Vertices:
        """Vertices whose features this worker needs."""
        return self.layers[0].own


def sample_block(
    sampler: Sampler, seeds: Vertices, layers: int, iteration: int, communicator: Communicator,
    seed: int = 0,
) -> Block:  # fmt: skip
    """Sample a block layer by layer, each worker the edges into what it owns.

    With several workers this is the scheme of Balin, Sancak and Çatalyürek ("Cooperative
    minibatching in graph neural networks", 2023): vertices are owned by hash, and the sources of
    each layer are asked of their owners, who sample for them once, whoever asks.

    Parameters
    ----------
    sampler : Sampler
    seeds : NDArray[np.int64]
        Vertices to learn from, possibly repeated: those that this worker owns.
    layers : int
    iteration : int
    communicator : Communicator
        Ids of vertices count to the class ``"ids"``.
    seed : int
        Of the hash.

    Returns
    -------
    Block
        Equal to one worker's but for whose vertices are whose.
    """
    shares: list[Share] = []
    targets = np.unique(seeds)
    for layer in range(layers, 0, -1):
        edges = sampler.edges(targets, layer, iteration)
        shares.insert(0, _share(targets, edges, communicator, seed))
        targets = shares[0].own
    return Block(layers=tuple(shares))


def _share(targets: Vertices, edges: Edges, communicator: Communicator, seed: int) -> Share:
    """Find out who owns the sources of the targets' edges, and have the owners know of it."""
    sources, column = np.unique(edges.source, return_inverse=True)
    shape = len(targets), len(sources)
    owner = owners(seed, sources, communicator.size)
    places = [np.flatnonzero(owner == worker) for worker in range(communicator.size)]
    asked = _ask(communicator, [sources[place] for place in places])
    own = np.unique(np.concatenate([targets, *asked]))
    return Share(
        targets=targets, sources=sources, own=own, places=places,
        weights=csr_array((edges.weight, (edges.target, column)), shape=shape),
        sends=[np.searchsorted(own, each) for each in asked],
    )  # fmt: skip


def block_bytes(
    block: Block, widths: tuple[int, ...], rank: int, *, operand: int, sums: int
) -> Counter[str]:
    """Bytes that a worker sends for a block: ids, and a forward and a backward pass.

    With R the rows of a layer that are other workers', of D outputs: ``4 (R + P - 1)`` of ids
    and ``R D sums`` backward by who needs them, ``R D operand`` forward by who owns them.

    Parameters
    ----------
    block : Block
    widths : tuple of int
        Features of the input and of each layer.
    rank : int
        Of the worker.
    operand, sums : int
        Bytes of an element.
    """
    total: Counter[str] = Counter()
    for share, width in zip(block.layers, widths[1:], strict=True):
        needed = sum(len(place) for other, place in enumerate(share.places) if other != rank)
        asked = sum(len(send) for other, send in enumerate(share.sends) if other != rank)
        total["ids"] += ID.itemsize * (needed + len(share.places) - 1)
        total["activations"] += asked * width * operand
        total["gradients"] += needed * width * sums
    return total


def _ask(communicator: Communicator, wanted: list[Vertices]) -> list[Vertices]:
    """Ask the owners for vertices; return what each worker asks of this one."""
    size = communicator.size
    counts = [np.array([len(each)], dtype=ID) for each in wanted]
    shapes = communicator.all_to_all("ids", counts, [(1,)] * size)
    lists = communicator.all_to_all(
        "ids", [each.astype(ID) for each in wanted], [(int(shape[0]),) for shape in shapes]
    )
    return [each.astype(np.int64) for each in lists]
