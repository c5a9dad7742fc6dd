# SPDX-License-Identifier: Apache-2.0
"""Data sets by name: digits, block models, communities, R-MAT graphs, and .npz files."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_array, csr_array

from gcnloom.errors import DataError
from gcnloom.graphs.file import read_npz
from gcnloom.graphs.graph import Graph, gcn_norm

__all__ = ["load"]

SPECS = (
    '"digits", "sbm:NODES,CLASSES", "community:NODES,DEGREE,FEATURES,CLASSES", '
    '"rmat:SCALE,DEGREE" or "FILE.npz"'
)
NUMBERS = {2: "two", 4: "four"}
RMAT_QUADRANTS = (0.57, 0.19, 0.19)
RMAT_FEATURES, RMAT_CLASSES = 64, 8
DIGITS_NEIGHBOURS = 8
POWER = 2.2
"""Exponent of the degrees' distribution in communities."""
INSIDE = 0.8
"""Share of edges that stay in their community."""
MOST_NODES = 1 << 24


def load(spec: str, seed: int = 0, *, row_normalise: bool = False) -> Graph:
    """Load or generate a graph.

    Parameters
    ----------
    spec : str
        ``digits``: scikit-learn's 1,797 digits, joined to their nearest neighbours.
        ``sbm:NODES,CLASSES``: stochastic block model with sparse features that hint at the class.
        ``community:NODES,DEGREE,FEATURES,CLASSES``: communities, a class each, of power-law
        degrees around a mean of exactly ``DEGREE``, with dense features; Reddit's manner.
        ``rmat:SCALE,DEGREE``: ``2**SCALE`` nodes, power-law degrees, 64 dense features.
        ``FILE.npz``: a graph file.
    seed : int
        Chooses splits and random graphs; a file brings its own.
    row_normalise : bool
        Divide every node's features by the sum of their magnitudes, where it is not zero.

    Returns
    -------
    Graph

    Examples
    --------
    >>> load("sbm:40,2").nodes
    40
    """
    if not 0 <= seed < 1 << 32:
        raise DataError(f"seed={seed} is outside 0..2**32-1; try 0")
    kind, _, arguments = spec.partition(":")
    if spec.endswith(".npz"):
        graph = read_npz(spec)
    elif spec == "digits":
        graph = _digits(seed)
    elif kind == "sbm":
        graph = _block_model(spec, _numbers(spec, arguments, 2), seed)
    elif kind == "community":
        graph = _community(spec, _numbers(spec, arguments, 4), seed)
    elif kind == "rmat":
        graph = _rmat(spec, _numbers(spec, arguments, 2), seed)
    else:
        raise DataError(f"unknown data set {spec!r}; try {SPECS}")
    return _row_normalised(graph) if row_normalise else graph


def _numbers(spec: str, arguments: str, count: int) -> list[int]:
    try:
        numbers = [int(text) for text in arguments.split(",")]
    except ValueError:
        numbers = []
    if len(numbers) != count:
        raise DataError(f"data set {spec!r} lacks {NUMBERS[count]} whole numbers; try {SPECS}")
    return numbers


def _row_normalised(graph: Graph) -> Graph:
    features: Any = csr_array(graph.features)
    total = np.asarray(abs(features).sum(axis=1)).ravel()
    scale = np.divide(1.0, total, out=np.zeros(len(total)), where=total > 0)
    features.data *= np.repeat(scale, np.diff(features.indptr))
    dense = isinstance(graph.features, np.ndarray)
    return _graph(
        graph.name,
        graph.adjacency,
        features.toarray() if dense else features,
        graph.labels,
        (graph.train, graph.val, graph.test),
    )


def _graph(
    name: str,
    adjacency: Any,
    features: Any,
    labels: NDArray[np.int64],
    splits: tuple[NDArray[np.int64], ...],
) -> Graph:
    train, val, test = splits
    return Graph(
        name=name,
        adjacency=adjacency,
        features=features,
        labels=labels,
        train=train,
        val=val,
        test=test,
    )


def _split(
    labels: NDArray[np.int64], rng: np.random.Generator, train: int = 10, val: int = 30
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
    """Choose some nodes of each class to train and to validate on, the rest to test.

    A class with few nodes gives at most a quarter to training and half to validation.
    """
    shares: tuple[list[NDArray[np.int64]], ...] = ([], [], [])
    for label in np.unique(labels):
        members = rng.permutation(np.flatnonzero(labels == label))
        first = min(train, -(-len(members) // 4))
        second = first + min(val, len(members) // 2)
        for share, part in zip(shares, np.split(members, [first, second]), strict=True):
            share.append(part)
    one, two, three = (np.sort(np.concatenate(share)) for share in shares)
    return one, two, three


def _undirected(row: NDArray[np.int64], column: NDArray[np.int64], nodes: int) -> csr_array:
    """Join pairs both ways with unit weights, without loops or duplicates."""
    keep = row != column
    row, column = row[keep], column[keep]
    both = np.unique(np.concatenate([row * nodes + column, column * nodes + row]))
    return csr_array((np.ones(len(both)), np.divmod(both, nodes)), shape=(nodes, nodes))


def _digits(seed: int) -> Graph:
    """Images of digits, each joined both ways to its nearest neighbours (a maximum of both)."""
    try:
        from sklearn.datasets import load_digits
        from sklearn.neighbors import kneighbors_graph
    except ImportError as error:
        raise DataError(
            "data set 'digits' needs scikit-learn; try `pip install 'gcnloom[data]'`"
        ) from error
    images, labels = load_digits(return_X_y=True)
    nearest = kneighbors_graph(images, DIGITS_NEIGHBOURS, mode="connectivity")
    splits = _split(labels.astype(np.int64), np.random.default_rng(seed))
    return _graph(
        "digits", nearest.maximum(nearest.T), images / 16.0, labels.astype(np.int64), splits
    )


def _block_model(spec: str, numbers: Sequence[int], seed: int) -> Graph:
    """Eight neighbours of the own class and two of any on average; one feature in ten is set.

    Half of a node's features come from its class's own columns, half from all of them.
    """
    nodes, classes = numbers
    if not 1 <= nodes <= MOST_NODES:
        raise DataError(f"{spec}: {nodes} nodes; try 1 to {MOST_NODES:,}")
    if not 1 <= classes <= nodes:
        raise DataError(f"{spec}: {classes} classes of {nodes} nodes; try 1 to {nodes} classes")
    rng = np.random.default_rng(seed)
    labels = np.sort(np.arange(nodes) % classes)
    first = np.searchsorted(labels, np.arange(classes + 1))
    inside = np.repeat(np.arange(nodes), 4)
    own = labels[inside]
    friend = rng.integers(first[own], first[own + 1])
    anyone = rng.integers(nodes, size=(2, nodes))
    adjacency = _undirected(
        np.concatenate([inside, anyone[0]]), np.concatenate([friend, anyone[1]]), nodes
    )
    width = 16
    per_node = max(2, width * classes // 10)
    node = np.repeat(np.arange(nodes), per_node)
    column = rng.integers(width * classes, size=len(node))
    hint = rng.random(len(node)) < 0.5
    column[hint] = labels[node[hint]] * width + column[hint] % width
    features = csr_array(coo_array((np.ones(len(node)), (node, column)), (nodes, width * classes)))
    features.data[:] = 1.0
    return _graph(spec, adjacency, features, labels, _split(labels, rng))


def _community(spec: str, numbers: Sequence[int], seed: int) -> Graph:
    """Degree-corrected block model in random node order, features around their class's centre."""
    nodes, degree, width, classes = numbers
    if not (1 <= classes <= nodes <= MOST_NODES and width >= 1 and 1 <= degree <= nodes // 4):
        raise DataError(
            f"{spec} is impossible or too large; try 1 to {MOST_NODES:,} nodes, a degree up to a "
            "quarter of them, and as many classes as nodes at most"
        )
    rng = np.random.default_rng(seed)
    labels = np.sort(np.arange(nodes) % classes)
    first = np.searchsorted(labels, np.arange(classes + 1))
    popularity = np.cumsum(np.minimum(rng.pareto(POWER - 1, nodes) + 1, np.sqrt(nodes)))
    # Popularity summed up to a community's first node and up to its last, by class.
    low, high = (np.r_[0.0, popularity][first[i : classes + i]] for i in (0, 1))
    pairs = np.zeros(0, dtype=np.int64)
    while len(pairs) < nodes * degree // 2:
        one = np.searchsorted(popularity, rng.random(nodes * degree // 2) * popularity[-1])
        inside = rng.random(len(one)) < INSIDE
        least = np.where(inside, low[labels[one]], 0.0)
        most = np.where(inside, high[labels[one]], popularity[-1])
        other = np.searchsorted(popularity, least + rng.random(len(one)) * (most - least))
        drawn = np.minimum(one, other) * nodes + np.maximum(one, other)
        merged = np.concatenate([pairs, drawn[one != other]])
        pairs = merged[np.sort(np.unique(merged, return_index=True)[1])]
    row, column = np.divmod(pairs[: nodes * degree // 2], nodes)
    place = rng.permutation(nodes)
    scattered = np.zeros(nodes, dtype=np.int64)
    scattered[place] = labels
    centres = rng.standard_normal((classes, width))
    features = rng.standard_normal((nodes, width)) + centres[scattered]
    adjacency = _undirected(place[row], place[column], nodes)
    return _graph(spec, adjacency, features, scattered, _split(scattered, rng))


def _rmat(spec: str, numbers: Sequence[int], seed: int) -> Graph:
    """Recursive-matrix graph; a node's class is what its propagated features favour.

    A random projection of the features, averaged twice over neighbours, gives each class a
    score; scores are standardised so that classes are of like size.
    """
    scale, degree = numbers
    if not (1 <= scale <= 24 and 1 <= degree <= 256):
        raise DataError(f"{spec} is too small or too large; try scale 1..24 and degree 1..256")
    rng = np.random.default_rng(seed)
    nodes = 1 << scale
    ends = np.zeros((2, nodes * degree // 2), dtype=np.int64)
    bounds = np.cumsum(RMAT_QUADRANTS)
    for _ in range(scale):
        quadrant = np.searchsorted(bounds, rng.random(ends.shape[1]), side="right")
        ends = 2 * ends + np.stack([quadrant >> 1, quadrant & 1])
    adjacency = _undirected(ends[0], ends[1], nodes)
    features = rng.standard_normal((nodes, RMAT_FEATURES))
    mean = gcn_norm(adjacency)
    scores = mean @ (mean @ (features @ rng.standard_normal((RMAT_FEATURES, RMAT_CLASSES))))
    scores /= np.maximum(np.linalg.norm(scores, axis=1, keepdims=True), 1e-12)
    spread = np.maximum(scores.std(axis=0), 1e-12)
    labels = np.argmax((scores - scores.mean(axis=0)) / spread, axis=1).astype(np.int64)
    splits = _split(labels, rng, train=nodes // 20 + 10, val=nodes // 20 + 10)
    return _graph(spec, adjacency, features, labels, splits)
