# SPDX-License-Identifier: Apache-2.0
"""Random bytes of weights, from as few generators as will do."""

from gcnloom_hw.epilogue.random_bytes import RandomBytes
from gcnloom_hw.epilogue.random_in_turn import PURPOSES, RandomBytesInTurn
from gcnloom_spec.config import AcceleratorConfig

__all__ = ["draw_cycles", "draw_latency", "draws"]


def draws(config: AcceleratorConfig) -> RandomBytes | RandomBytesInTurn:
    """Return what draws the bytes of steps: a vector a cycle, or a slice every other one."""
    if config.update_slices == 1:
        return RandomBytes(config)
    return RandomBytesInTurn(lanes=config.update_width, slices=config.update_slices, both=True)


def draw_latency(config: AcceleratorConfig) -> int:
    """Cycles from the first of a request to its first bytes."""
    if config.update_slices == 1:
        return RandomBytes.latency
    return RandomBytesInTurn.latency + PURPOSES - 1


def draw_cycles(config: AcceleratorConfig) -> int:
    """Cycles from the bytes of a slice, or of a vector in one, to those of the next."""
    return 1 if config.update_slices == 1 else PURPOSES
