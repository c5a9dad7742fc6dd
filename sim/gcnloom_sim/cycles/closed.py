# SPDX-License-Identifier: Apache-2.0
"""Closed forms: cycles from one command to the next of its kind."""

from gcnloom_hw.update.draws import draw_cycles
from gcnloom_sim.cycles.timing import (
    ACCEPTED,
    ARRIVED,
    BETWEEN_STEPS,
    BETWEEN_WRITES,
    HELD,
    PREPARE,
    QUEUE,
    RESTART,
    RESULTS,
    Timing,
)
from gcnloom_sim.memory import LATENCY
from gcnloom_spec.commands import (
    Aggregate,
    Command,
    Drain,
    Emission,
    Load,
    Loss,
    Scale,
    Step,
    Store,
    Transform,
)
from gcnloom_spec.config import AcceleratorConfig, Packing

__all__ = ["interval"]


def _issued(emission: Emission, vectors: int, config: AcceleratorConfig) -> int:
    """Cycles from one emission of so many vectors to the next: its slices, or their draws."""
    draws = emission.stochastic + emission.dropout if emission.vectors else 0
    slices = vectors * config.epilogue_slices
    return max(slices + PREPARE, draws * slices + 1)


def interval(command: Command, timing: Timing) -> int:
    """Cycles from one command to the next of its kind, if no other unit holds them up.

    Those of what reads memory include the fetch of the command, which the port serves too; a
    loss waits for the answers of the ideal memory.
    """
    config, fetched = timing.config, timing.command_packing.words
    match command:
        case Load():
            return _load(command, timing)
        case Aggregate():
            return max(command.count, 1)
        case Drain():
            issued = _issued(command.emission, command.emission.vectors, config)
            return max(command.count, issued, 1 + PREPARE)
        case Transform():
            issue = timing.transform(command)
            emission = command.emission if command.last else Emission(vectors=0)
            return max(issue.cycles, _issued(emission, issue.beats, config))
        case Store():
            packing = timing.stored(command.raw)
            packed = packing.words_per_item * command.count
            return packed + timing.packing_latency(packing) + QUEUE + ACCEPTED + RESTART
        case Loss():
            return _loss(command, timing)
        case Step():
            masters, operands = config.masters.words(command.count), config.vector
            # What emits to the step is fetched as the step is.
            read = masters + fetched(2) + 1
            written = masters + operands.words(command.count) + BETWEEN_WRITES
            return max(_stepped(command, config), read, written)
        case Scale():
            return max(HELD + timing.scale(command) + 1, fetched(1))


def _stepped(command: Step, config: AcceleratorConfig) -> int:
    """Cycles that the lanes take from one step to the next."""
    vectors, slices = command.count, command.count * config.update_slices
    if config.update_slices == 1:
        return vectors + BETWEEN_STEPS
    # The words of a vector are gathered before its slices, those of a step's first between steps.
    words = config.masters.words_per_item
    paced = slices + vectors * (words - 1) + BETWEEN_STEPS + 1 - words
    drawn = slices * draw_cycles(config) + 1 if command.stochastic else 0
    return max(paced, drawn)


def _load(command: Load, timing: Timing) -> int:
    packing = timing.packing(command.target)
    asking = packing.words(command.count) + 1 + timing.command_packing.words(1)
    if packing.words_per_item > 1:
        return asking
    stall = _fetch_stall(timing.grouped(command.target), timing)
    return max(asking, 1 + timing.groups(command) + stall)


def _fetch_stall(packing: Packing, timing: Timing) -> int:
    """Cycles that a fetched command costs a load, of whose groups one is written a cycle.

    The words of a command arrive together; the groups of the loaded words that are there
    already, one of them being unpacked, hide that only as long as they last.
    """
    hidden = (1 + ARRIVED) * (packing.items_per_word - 1)
    return max(0, timing.command_packing.words_per_item - hidden)


def _loss(command: Loss, timing: Timing) -> int:
    config = timing.config
    vectors, slices = command.count * command.panels, command.panels * config.update_slices
    asked = vectors * max(config.sums.words_per_item, config.update_slices)
    asked += config.label.words(command.count) + timing.command_packing.words(1)
    passes = timing.to_powers + timing.to_gradients + 2 * (slices - 1) + RESULTS + QUEUE
    passes += timing.regrouping
    written = config.record.words_per_item + QUEUE + ACCEPTED
    return asked + QUEUE + QUEUE + LATENCY + passes + written + 1
