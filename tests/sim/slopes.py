# SPDX-License-Identifier: Apache-2.0
"""Gradients against finite differences."""

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

__all__ = ["require_slopes"]

STEP = 1e-6


def require_slopes(
    gradients: Sequence[NDArray[np.float64]],
    weights: Sequence[NDArray[np.float64]],
    loss: Callable[[], float],
) -> None:
    """Fail unless gradients are the slopes of a loss of these weights, element by element."""
    for weight, gradient in zip(weights, gradients, strict=True):
        assert gradient.shape == weight.shape
        for place in np.ndindex(weight.shape):
            kept, ends = weight[place], []
            for step in (STEP, -STEP):
                weight[place] = kept + step
                ends.append(loss())
            weight[place] = kept
            slope = (ends[0] - ends[1]) / (2 * STEP)
            assert np.isclose(slope, gradient[place], rtol=1e-4, atol=1e-7)
