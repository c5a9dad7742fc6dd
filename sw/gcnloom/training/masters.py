# SPDX-License-Identifier: Apache-2.0
"""Weights and momenta as the device updates them: integers, at exponents that stay."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from gcnloom.errors import ConfigError
from gcnloom.lower.routine import Coefficients
from gcnloom.tensors.memory import TensorLayout
from gcnloom.training.options import Options
from gcnloom_spec.descent import PRESHIFT, Coefficient
from gcnloom_spec.number import NOISE_BITS, exponent_for, quantise

__all__ = ["Masters", "pack_masters", "unpack_masters"]

MOMENTUM_ROOM = 6
"""Powers of two by which a momentum may exceed the first gradient: it sums up some ten of them."""
MOST_APART = 12
"""Powers of two by which a unit of a momentum may be below one of a weight: a smaller one would be
lost in the sum with what decays."""
LEAST_RANGE = 2
"""Weights up to ``2 ** LEAST_RANGE`` fit at least."""
WEIGHT_ROOM = 4
"""Powers of two by which weights may outgrow the first ones."""

Array = NDArray[np.int64]


@dataclass(frozen=True, kw_only=True, eq=False)
class Masters:
    """Weights of one layer and their momenta.

    The device's weights of later layers carry the dropout's ``1 / kept``: `scale`.

    Attributes
    ----------
    weights, momenta : NDArray[np.int64]
        Mantissas.
    exponent, momentum_exponent : int
    scale : float
        What a weight is divided by on the device.
    """

    weights: Array
    momenta: Array
    exponent: int
    momentum_exponent: int
    scale: float

    @classmethod
    def of(
        cls,
        weights: NDArray[np.float64],
        gradient: NDArray[np.float64],
        *,
        scale: float,
        width: int,
    ) -> "Masters":
        """Quantise the first weights, with room for what becomes of them.

        Parameters
        ----------
        weights : NDArray[np.float64]
        gradient : NDArray[np.float64]
            Of the loss's sum by the weights as the device has them.
        scale : float
        width : int
            Bits of a mantissa.
        """
        scaled = weights / scale
        exponent = max(exponent_for(scaled, width) + WEIGHT_ROOM, LEAST_RANGE + 1 - width)
        return cls(
            weights=quantise(scaled, exponent, width), momenta=np.zeros(weights.shape, np.int64),
            exponent=exponent, scale=scale,
            momentum_exponent=max(
                exponent_for(gradient, width) + MOMENTUM_ROOM if gradient.any() else exponent,
                exponent - MOST_APART,
            ),
        )  # fmt: skip

    @property
    def real(self) -> NDArray[np.float64]:
        """The weights as numbers."""
        real: NDArray[np.float64] = np.ldexp(self.weights.astype(np.float64), self.exponent)
        return real * self.scale

    def exponents(self) -> dict[str, float]:
        """Everything but the mantissas, by name."""
        return {
            "exponent": self.exponent, "momentum_exponent": self.momentum_exponent,
            "scale": self.scale,
        }  # fmt: skip

    @property
    def gradient_wanted(self) -> int:
        """Wanted exponent of the gradient's scale, by which its sums come to a momentum's bits."""
        return self.momentum_exponent - NOISE_BITS + PRESHIFT

    def coefficients(self, options: Options, layer: int, nodes: int) -> Coefficients:
        """Coefficients of the step that these options ask for, with so many training nodes."""
        apart = self.exponent - self.momentum_exponent + NOISE_BITS
        decay = options.weight_decay * nodes * self.scale**2 if layer == 1 else 0.0
        rate = options.lr / (nodes * self.scale**2)
        try:
            return Coefficients(
                rate=Coefficient.of(rate * 2.0 ** (2 * NOISE_BITS - apart)),
                decay=Coefficient.of(decay * 2.0**apart),
                momentum=min(255, round(options.momentum * 256)),
                halving=max(0, options.halve_every.bit_length() - 1),
            )
        except ValueError as error:
            raise ConfigError(
                f"lr={options.lr} or weight_decay={options.weight_decay} is too large for the "
                f"device ({error}); try a smaller lr or weight_decay"
            ) from error


def pack_masters(layout: TensorLayout, weights: Array, momenta: Array) -> bytes:
    """Bytes of weights and momenta, which lie side by side in each vector."""
    lanes, panels = layout.config.lanes, layout.panels
    parts = np.zeros((2, layout.rows, panels * lanes), dtype=np.int64)
    for part, array in zip(parts, (weights, momenta), strict=True):
        part[: array.shape[0], : array.shape[1]] = array
    vectors = parts.reshape(2, layout.rows, panels, lanes).transpose(1, 2, 0, 3)
    return layout.pack(vectors.reshape(layout.rows, -1))


def unpack_masters(
    layout: TensorLayout, data: bytes, shape: tuple[int, ...]
) -> tuple[Array, Array]:
    """Weights and momenta of the given shape; inverse of :func:`pack_masters`."""
    lanes, panels = layout.config.lanes, layout.panels
    vectors = layout.unpack(data).reshape(layout.rows, panels, 2, lanes)
    weights, momenta = vectors.transpose(2, 0, 1, 3).reshape(2, layout.rows, -1)
    return weights[: shape[0], : shape[1]].copy(), momenta[: shape[0], : shape[1]].copy()
