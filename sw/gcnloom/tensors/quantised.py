# SPDX-License-Identifier: Apache-2.0
"""Real matrices as operand mantissas and one exponent."""

from typing import Any

import numpy as np
from scipy.sparse import csr_array, issparse

from gcnloom.errors import DataError
from gcnloom_spec.config import AcceleratorConfig
from gcnloom_spec.number import exponent_for, quantise

__all__ = ["quantised"]


def quantised(
    name: str, matrix: Any, config: AcceleratorConfig, *, least: float = 0.0
) -> tuple[Any, int]:
    """Operand mantissas of a real matrix, in its own form, and their exponent.

    `name` is for the error about values that are not finite. At the exponent a magnitude of
    `least` fits, too.
    """
    sparse = csr_array(matrix) if issparse(matrix) else None
    values = np.asarray(matrix if sparse is None else sparse.data, dtype=np.float64)
    bad = np.count_nonzero(~np.isfinite(values))
    if bad:
        raise DataError(f"{name} has {bad} values that are not finite; try to drop or replace them")
    exponent = exponent_for(np.append(values, least), config.operand_width)
    mantissas = quantise(values, exponent, config.operand_width)
    if sparse is None:
        return mantissas, exponent
    return csr_array((mantissas, sparse.indices, sparse.indptr), shape=sparse.shape), exponent
