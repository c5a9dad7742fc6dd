# SPDX-License-Identifier: Apache-2.0
"""Predicted counters of a program that is a run of its own."""

from dataclasses import dataclass

from gcnloom.errors import ConfigError
from gcnloom.programs.program import Program
from gcnloom_hw.control.running import QUIET_CYCLES
from gcnloom_sim.cycles.timeline import Timeline
from gcnloom_sim.memory import IDEAL, Memory, memory_model
from gcnloom_spec.config import AcceleratorConfig
from gcnloom_spec.isa import Unit

__all__ = ["Prediction", "predict", "predict_part"]

STARTING = 3
"""Cycles from the start of the count to that of all units."""
ENDING = QUIET_CYCLES
"""Cycles from the one after the last movement to the end of the count."""


@dataclass(frozen=True, kw_only=True)
class Prediction:
    """Predicted counters of one run.

    Attributes
    ----------
    cycles : int
    active, waiting, stalled : dict[str, int]
        By unit, as the performance counters: moving data; waiting for tokens; executing
        without moving data.
    """

    cycles: int
    active: dict[str, int]
    waiting: dict[str, int]
    stalled: dict[str, int]


def predict(
    program: Program,
    config: AcceleratorConfig,
    memory: str | Memory = IDEAL,
    address: int | None = None,
) -> Prediction:
    """Predict how many cycles a program takes, without running it.

    Parameters
    ----------
    program : Program
        Beside aggregates whose `contents` it does not know, drains are taken to be held up by
        nothing; rows of a drain that it does not know to end at even distances.
    config : AcceleratorConfig
        Of the accelerator that would run it.
    memory : str or Memory
        How long the memory takes, see :func:`gcnloom_sim.memory.memory_model`.
    address : int, optional
        Word from which on the program lies in it, which decides whose rows of a DRAM commands
        close; behind all that the program reaches, if not given.

    Raises
    ------
    ConfigError
        The accelerator is a compact one.
    """
    if config.compact:
        raise ConfigError(
            "cycles of a compact accelerator are not predicted, only measured; try device rtl"
        )
    return _prediction(Timeline(config, memory_model(memory), program, address))


def predict_part(
    program: Program, config: AcceleratorConfig, memory: Memory, address: int | None, *,
    first: bool,
) -> Prediction:  # fmt: skip
    """Predict a program that a repeat ends, up to the cycle in which that finds all quiet.

    Parameters
    ----------
    program : Program
    config : AcceleratorConfig
    memory : Memory
    address : int, optional
        See :func:`predict`.
    first : bool
        It starts the run.
    """
    return _prediction(Timeline(config, memory, program, address, first=first, repeats=True))


def _prediction(timeline: Timeline) -> Prediction:
    timeline.run()
    units = timeline.units()
    return Prediction(
        cycles=round(timeline.end + STARTING + ENDING),
        active={name: round(unit.active) for name, unit in units.items()},
        waiting={unit.name.lower(): round(timeline.gates[unit].waited) for unit in Unit},
        stalled={name: round(unit.stalled) for name, unit in units.items()},
    )
