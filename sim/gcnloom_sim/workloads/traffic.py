# SPDX-License-Identifier: Apache-2.0
"""What a program moves through the memory port, counted from its commands alone."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

from gcnloom.programs.program import Program
from gcnloom_sim.cycles.timing import Timing
from gcnloom_sim.memory import Dram, Tiered, memory_model
from gcnloom_sim.model.traffic import loss_traffic, step_traffic
from gcnloom_spec.commands import Aggregate, Load, Loss, Step, Store
from gcnloom_spec.config import AcceleratorConfig
from gcnloom_spec.isa import Target

__all__ = ["IDEAL", "Traffic", "byte_counts", "port_cycles", "shared_rate"]

IDEAL = "ideal"
"""Memory of a word each way in every cycle."""


@dataclass(frozen=True, kw_only=True)
class Traffic:
    """Bytes by stream, and edges.

    Attributes
    ----------
    streams : dict[str, int]
        By the names of the counters: ``program``, ``store``, and the targets of loads.
    edges : int
        Places for edges in all beats, padding included.
    """

    streams: dict[str, int]
    edges: int


def byte_counts(programs: Iterable[Program], config: AcceleratorConfig) -> Traffic:
    """Count the bytes that programs read and write."""
    timing = Timing(config)
    words: Counter[str] = Counter()
    edges = 0
    for program in programs:
        words["program"] += timing.command_packing.words(len(program))
        for command in program.commands:
            match command:
                case Load():
                    name = Target(command.target).name.lower()
                    words[name] += timing.packing(command.target).words(command.count)
                case Store():
                    words["store"] += timing.stored(command.raw).words(command.count)
                case Loss():
                    words.update(_streams(loss_traffic(command, config)))
                case Step():
                    words.update(_streams(step_traffic(command, config)))
                case Aggregate():
                    edges += command.count * config.pes
    streams = {name: count * config.memory_bytes for name, count in words.items()}
    return Traffic(streams=streams, edges=edges)


def _streams(traffic: dict[str, int]) -> dict[str, int]:
    return {name.removesuffix("_words"): words for name, words in traffic.items()}


def shared_rate(memory: str) -> int | None:
    """Bytes a cycle that a memory moves at most, both ways together; None: a word each way.

    That is so where a part of it is block RAM, in which all that counts may lie.
    """
    model = memory_model(memory)
    if isinstance(model, Tiered):
        return None
    return model.bytes_per_clock if isinstance(model, Dram) else model.bytes_per_cycle


def port_cycles(read: int, written: int, port_bytes: int, memory: str) -> int:
    """Cycles below which no order of requests gets: those of the busier way, or of all bytes."""
    rate = shared_rate(memory)
    both = 0 if rate is None else -(-(read + written) // rate)
    return max(1, both, -(-read // port_bytes), -(-written // port_bytes))
