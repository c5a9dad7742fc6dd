# SPDX-License-Identifier: Apache-2.0
"""Nodes of a split, however they are given."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from gcnloom.errors import DataError

__all__ = ["indices"]


def indices(name: str, nodes: Any, count: int) -> NDArray[np.int64]:
    """Return node indices from indices or a mask of `count` nodes; `name` is for an error."""
    array = np.asarray(nodes)
    if array.dtype != np.bool_:
        return array.astype(np.int64) if not array.size else array
    if array.shape != (count,):
        raise DataError(
            f"mask {name} has shape {array.shape}; try one value for each of {count} nodes"
        )
    return np.flatnonzero(array)
