# SPDX-License-Identifier: Apache-2.0
"""Graph: adjacency, features, labels and splits, checked; and its symmetric normalisation."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array, dia_array, issparse

from gcnloom.errors import DataError

__all__ = ["Graph", "edge_sums", "gcn_norm"]

SPLITS = ("train", "val", "test")
REAL = "biuf"


@dataclass(frozen=True, kw_only=True, eq=False)
class Graph:
    """A graph whose nodes are to be classified.

    Parameters
    ----------
    name : str
        Used in messages and reports.
    adjacency : csr_array
        Float64, nodes by nodes. Row is the target of an edge, column its source: row `i` of
        ``adjacency @ features`` sums over the neighbours that node `i` listens to. Duplicate
        edges are added up, as SciPy and PyTorch Geometric do.
    features : csr_array or NDArray
        Float64, nodes by features.
    labels : NDArray[np.int64]
        Class of each node, -1 where it is not known.
    train, val, test : NDArray[np.int64]
        Node indices. They may overlap and repeat.
    """

    name: str
    adjacency: Any
    features: Any
    labels: NDArray[np.int64]
    train: NDArray[np.int64]
    val: NDArray[np.int64]
    test: NDArray[np.int64]

    def __post_init__(self) -> None:
        object.__setattr__(self, "adjacency", self._sparse("adjacency"))
        sparse = issparse(self.features)
        features = self._sparse("features") if sparse else self._reals("features")
        object.__setattr__(self, "features", features)
        for field in ("labels", *SPLITS):
            object.__setattr__(self, field, self._integers(field))
        self.validate()

    @property
    def nodes(self) -> int:
        """Number of nodes."""
        return int(self.adjacency.shape[0])

    @property
    def classes(self) -> int:
        """Number of classes: one more than the largest label."""
        return int(self.labels.max()) + 1

    def validate(self) -> None:
        """Raise :class:`DataError` about the first thing that cannot be trained on."""
        self._check_shapes()
        for field in ("adjacency", "features"):
            self._check_finite(field)
        if self.labels.min() < -1:
            node = int(np.argmin(self.labels))
            raise DataError(
                f"{self.name}: label {self.labels[node]} of node {node} is no class; "
                "try classes from 0 on, and -1 for unknown"
            )
        if self.labels.max() < 0:
            raise DataError(f"{self.name}: no node has a label; try a file with labels")
        for field in SPLITS:
            self._check_split(field)

    def _sparse(self, field: str) -> csr_array:
        matrix = getattr(self, field)
        if not issparse(matrix):
            matrix = np.atleast_2d(self._reals(field))
        elif matrix.dtype.kind not in REAL:
            raise self._no_numbers(field, f"is {matrix.dtype}")
        if matrix.ndim != 2:
            raise self._no_numbers(field, f"has shape {matrix.shape}")
        matrix = csr_array(matrix, dtype=np.float64, copy=True)
        matrix.sum_duplicates()
        return matrix

    def _reals(self, field: str) -> NDArray[np.float64]:
        try:
            values = np.asarray(getattr(self, field))
        except ValueError as error:
            raise self._no_numbers(field, f"is no array ({error})") from error
        if values.dtype.kind not in REAL:
            raise self._no_numbers(field, f"is {values.dtype}")
        return values.astype(np.float64, copy=False)

    def _no_numbers(self, field: str, what: str) -> DataError:
        return DataError(f"{self.name}: {field} {what}; try a matrix of real numbers")

    def _integers(self, field: str) -> NDArray[np.int64]:
        values = np.asarray(getattr(self, field))
        if values.ndim != 1 or (values.size and not np.issubdtype(values.dtype, np.integer)):
            raise DataError(
                f"{self.name}: {field} is {values.dtype} of shape {values.shape}; "
                "try a one-dimensional array of integers"
            )
        return values.astype(np.int64)

    def _check_shapes(self) -> None:
        rows, columns = self.adjacency.shape
        if rows != columns:
            raise DataError(f"{self.name}: adjacency is {rows} x {columns}; try a square matrix")
        if not rows:
            raise DataError(f"{self.name}: the graph has no nodes; try one with at least one")
        if self.features.ndim != 2 or self.features.shape[0] != rows:
            raise DataError(
                f"{self.name}: features have shape {self.features.shape} but the adjacency is "
                f"{rows} x {columns}; try one row of features for each of the {rows} nodes"
            )
        if not self.features.shape[1]:
            raise DataError(f"{self.name}: nodes have no features; try at least one column")
        if self.labels.shape != (rows,):
            raise DataError(
                f"{self.name}: labels have shape {self.labels.shape} but the adjacency is "
                f"{rows} x {columns}; try one label for each of the {rows} nodes"
            )

    def _check_finite(self, field: str) -> None:
        matrix = getattr(self, field)
        sparse = issparse(matrix)
        bad = ~np.isfinite(matrix.data if sparse else matrix)
        if not bad.any():
            return
        if sparse:
            entry = int(np.flatnonzero(bad)[0])
            row = int(np.searchsorted(matrix.indptr, entry, side="right")) - 1
            column, value = int(matrix.indices[entry]), matrix.data[entry]
        else:
            row, column = (int(index) for index in np.argwhere(bad)[0])
            value = matrix[row, column]
        raise DataError(
            f"{self.name}: {field}[{row}, {column}] is {value}, one of {np.count_nonzero(bad)} "
            "values that are not finite; try to drop or replace them"
        )

    def _check_split(self, field: str) -> None:
        nodes = getattr(self, field)
        wrong = nodes[(nodes < 0) | (nodes >= self.nodes)]
        if wrong.size:
            raise DataError(
                f"{self.name}: {field} names node {wrong[0]}; "
                f"try indices within 0..{self.nodes - 1}"
            )
        unknown = nodes[self.labels[nodes] < 0]
        if unknown.size:
            raise DataError(
                f"{self.name}: {field} names node {unknown[0]}, whose label is -1 (unknown); "
                "try to leave it out of the split"
            )


def gcn_norm(adjacency: Any) -> csr_array:
    """Symmetrically normalised adjacency with self loops, PyTorch Geometric's ``gcn_norm``.

    Self loops that exist keep their weight and missing ones get 1 (`add_remaining_self_loops`,
    not `improved`). Degrees are sums over incoming edges, here rows, as a row is a target:
    ``result[i, j] = d[i] ** -0.5 * a[i, j] * d[j] ** -0.5`` where ``d = a.sum(axis=1)``, and
    an infinite ``d ** -0.5`` counts as 0.

    Parameters
    ----------
    adjacency : csr_array
        Row is target, column is source. Duplicate edges are added up, loops among them.

    Returns
    -------
    csr_array
        Float64, indices sorted.

    Examples
    --------
    >>> gcn_norm(csr_array(np.array([[0.0, 1.0], [1.0, 0.0]]))).toarray().round(3).tolist()
    [[0.5, 0.5], [0.5, 0.5]]
    """
    looped = csr_array(adjacency, dtype=np.float64, copy=True)
    looped.sum_duplicates()
    row = np.repeat(np.arange(looped.shape[0]), np.diff(looped.indptr))
    # A stored loop of weight zero is a loop: it is the entry that counts, not its value.
    missing = np.ones(looped.shape[0])
    missing[row[row == looped.indices]] = 0.0
    looped = csr_array(looped + dia_array((missing[None, :], [0]), shape=looped.shape))
    degree = edge_sums(looped, "has no square root")
    scale = np.zeros(len(degree))
    np.power(degree, -0.5, out=scale, where=degree > 0)
    row = np.repeat(np.arange(looped.shape[0]), np.diff(looped.indptr))
    looped.data *= scale[row] * scale[looped.indices]
    looped.sort_indices()
    return looped


def edge_sums(adjacency: csr_array, lacking: str) -> NDArray[np.float64]:
    """Sum the weights of the edges into each node; none may be negative.

    Parameters
    ----------
    adjacency : csr_array
    lacking : str
        What is wrong with a negative sum, for the error: it ``"has no square root"``.

    Raises
    ------
    DataError
        A sum is negative, or more than a float64 holds.
    """
    with np.errstate(over="ignore"):
        total: NDArray[np.float64] = np.asarray(adjacency.sum(axis=1)).ravel()
    if not np.isfinite(total).all():
        raise DataError("weights of edges sum to more than a float64 holds; try smaller weights")
    if (total < 0).any():
        node = int(np.argmin(total))
        raise DataError(
            f"weights of the edges into node {node} sum to {total[node]:g}, which {lacking}; "
            "try weights whose sums are not negative"
        )
    return total
