# SPDX-License-Identifier: Apache-2.0
"""Graph files: .npz archives of plain arrays, read without pickles."""

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

from gcnloom.archive import ArchiveError, read_arrays
from gcnloom.errors import DataError
from gcnloom.graphs.graph import Graph

__all__ = ["read_npz"]

REQUIRED = ("adj_indptr", "adj_indices", "labels", "train_idx", "val_idx", "test_idx")
SPARSE_FEATURES = ("feat_indptr", "feat_indices", "feat_data", "feat_shape")


def read_npz(path: str | Path) -> Graph:
    """Read a graph file.

    Keys are ``adj_indptr``, ``adj_indices`` and optionally ``adj_data`` (CSR, row is target);
    ``feat_indptr``, ``feat_indices``, ``feat_data`` and ``feat_shape``, or ``feat`` (dense);
    ``labels``, ``train_idx``, ``val_idx`` and ``test_idx``. Nothing is normalised.

    Raises
    ------
    DataError
        The file cannot be read, lacks keys, holds pickles, or its graph is not valid.
    """
    name = str(path)
    arrays = _arrays(Path(path))
    missing = [key for key in REQUIRED if key not in arrays]
    if "feat" not in arrays:
        missing += [key for key in SPARSE_FEATURES if key not in arrays]
    if missing:
        raise DataError(
            f"{name} lacks {', '.join(missing)} (it has {', '.join(sorted(arrays)) or 'nothing'}); "
            "try to add them"
        )
    nodes = len(arrays["adj_indptr"]) - 1
    weights = arrays.get("adj_data", np.ones(len(arrays["adj_indices"])))
    adjacency = _csr(
        f"{name}: adj", weights, arrays["adj_indices"], arrays["adj_indptr"], (nodes, nodes)
    )
    return Graph(
        name=Path(path).stem,
        adjacency=adjacency,
        features=_features(name, arrays),
        labels=arrays["labels"],
        train=arrays["train_idx"],
        val=arrays["val_idx"],
        test=arrays["test_idx"],
    )


def _arrays(path: Path) -> dict[str, NDArray[Any]]:
    """Every array of the archive, or an error about the file."""
    try:
        return read_arrays(path)
    except OSError as error:
        raise DataError(
            f"{path} cannot be read ({error.strerror or error}); try another path"
        ) from error
    except ArchiveError as error:
        raise DataError(
            f"{path} is damaged, holds pickled objects or is no .npz file ({error}); "
            "try an archive of plain arrays made by numpy.savez"
        ) from error


def _features(name: str, arrays: dict[str, NDArray[Any]]) -> Any:
    if "feat" in arrays:
        return arrays["feat"]
    shape = tuple(int(size) for size in arrays["feat_shape"].ravel())
    if len(shape) != 2:
        raise DataError(f"{name}: feat_shape is {shape}; try two numbers, nodes and features")
    data, indices = arrays["feat_data"], arrays["feat_indices"]
    return _csr(f"{name}: feat", data, indices, arrays["feat_indptr"], shape)


def _csr(
    name: str,
    data: NDArray[Any],
    indices: NDArray[Any],
    indptr: NDArray[Any],
    shape: tuple[int, ...],
) -> csr_array:
    """Build a matrix after checks that SciPy leaves to whoever crashes later."""
    if {indices.dtype.kind, indptr.dtype.kind} - {"i", "u"}:
        raise DataError(
            f"{name}_indices and _indptr are {indices.dtype} and {indptr.dtype}; try integers"
        )
    try:
        matrix = csr_array((data, indices, indptr), shape=shape)
        matrix.check_format(full_check=True)
    except (ValueError, TypeError, IndexError) as error:
        raise DataError(
            f"{name}_indptr, _indices and data are no {shape} CSR matrix "
            f"({error}); try to write them from a scipy.sparse.csr_array"
        ) from error
    return matrix
