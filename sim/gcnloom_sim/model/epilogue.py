# SPDX-License-Identifier: Apache-2.0
"""The epilogue of the model: sums to operands, with their statistics."""

import numpy as np
from numpy.typing import NDArray

from gcnloom.errors import ProgramError
from gcnloom_sim.model.checks import check_range
from gcnloom_sim.model.scales import Scales
from gcnloom_spec.commands import Emission
from gcnloom_spec.config import AcceleratorConfig
from gcnloom_spec.number import envelope, requantise
from gcnloom_spec.random import DROPOUT, ROUNDING, draw
from gcnloom_spec.registers import STATISTICS

__all__ = ["Epilogue"]


class Epilogue:
    """Apply emissions; keep statistics by tensor.

    Parameters
    ----------
    config : AcceleratorConfig
    scales : Scales

    Attributes
    ----------
    key : tuple of int
        Seed and step, of every random bit; changed by whoever repeats a program.
    envelopes, saturations : NDArray[np.int64]
    """

    def __init__(self, config: AcceleratorConfig, scales: Scales) -> None:
        self.config = config
        self._scales = scales
        self.envelopes = np.zeros(STATISTICS, dtype=np.int64)
        self.saturations = np.zeros(STATISTICS, dtype=np.int64)
        self.begin(seed=0, step=0, keep=False)

    def begin(self, *, seed: int, step: int, keep: bool) -> None:
        """Start a run, with the statistics that there are or without."""
        self.key = (seed, step)
        if not keep:
            self.envelopes[:] = self.saturations[:] = 0

    def apply(
        self, emission: Emission, sums: NDArray[np.int64], mask: NDArray[np.bool_]
    ) -> NDArray[np.int64]:
        """Gate, count and requantise what an engine emits."""
        if len(sums) != emission.vectors:
            raise ProgramError(
                f"the engine emits {len(sums)} vectors, the emission has {emission.vectors}; "
                "try the same number"
            )
        gated = np.where(self._keep(emission, sums, mask), sums, 0)
        self.envelopes[emission.tensor] |= envelope(gated)
        if emission.raw:
            return gated
        noise = self._draw(emission, ROUNDING) if emission.stochastic else None
        width = self.config.operand_width
        scaled = emission.scaled and self.config.master_width
        shift = self._scales.shift(emission.tensor) if scaled else emission.shift
        operands, saturations = requantise(gated, shift, width, noise)
        self.saturations[emission.tensor] += saturations
        return operands

    def _keep(
        self, emission: Emission, sums: NDArray[np.int64], mask: NDArray[np.bool_]
    ) -> NDArray[np.bool_]:
        keep = np.ones(sums.shape, dtype=np.bool_)
        if emission.relu:
            keep &= sums >= 0
        if emission.mask:
            keep &= mask[check_range("mask", emission.mask_base, emission.vectors, len(mask))]
        if emission.dropout:
            keep &= self._draw(emission, DROPOUT) >= emission.threshold
        return keep

    def _draw(self, emission: Emission, purpose: int) -> NDArray[np.int64]:
        if self.config.without_draws:
            raise ProgramError(
                "the epilogues draw no random bytes; try neither dropout nor stochastic rounding"
            )
        return draw(
            seed=self.key[0],
            step=self.key[1],
            tensor=emission.tensor,
            purpose=purpose,
            rows=(emission.row + np.arange(emission.vectors)) & 0xFFFFFFFF,
            feature=emission.feature,
            count=self.config.lanes,
        )
