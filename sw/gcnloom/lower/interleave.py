# SPDX-License-Identifier: Apache-2.0
"""Commands of both engines in turn, so that neither waits for the program to come to it."""

from collections.abc import Iterable, Iterator

from gcnloom.lower.builder import Builder
from gcnloom_spec.commands import Aggregate, Command, Transform
from gcnloom_spec.config import AcceleratorConfig
from gcnloom_spec.isa import Mode

__all__ = ["Step", "array_cycles", "engine_cycles", "finished", "in_order", "interleaved"]

Step = range | None
"""Rows of a product whose results are on their way, or none yet after a few commands."""

TURN = 2
"""Cycles of the array between two commands, beside those that weights take to come."""


def finished(steps: Iterable[Step]) -> Iterator[range]:
    """Yield only the rows that are done."""
    return (step for step in steps if step is not None)


def array_cycles(rows: int, config: AcceleratorConfig) -> int:
    """Cycles of the array for one step over so many rows."""
    return rows + config.rows + TURN


def engine_cycles(command: Command, config: AcceleratorConfig) -> int:
    """Cycles that a command keeps its engine busy, about; 0 if it is of neither."""
    if isinstance(command, Transform):
        passes = command.mode == Mode.PASS
        return command.count if passes else array_cycles(command.count, config)
    return command.count if isinstance(command, Aggregate) else 0


def interleaved(
    builder: Builder, array: Iterator[Step], sparse: Iterator[Step], pace: float = 1.0
) -> Iterator[range]:
    """Emit commands for both engines at the pace at which the engines run.

    The next step is always one of the engine that would be free first. Yields rows that are
    done, but never while the array's sums of some rows are on their way: whoever is told may
    give the array something else to do.

    Parameters
    ----------
    builder : Builder
    array, sparse : Iterator of Step
        What emits the commands of either engine.
    pace : float
        How many times its cycles the array is given for a step. Where it has time to spare, its
        loads then never keep those of the sparse engine waiting behind them.
    """
    streams = {"array": array, "sparse": sparse}
    busy = dict.fromkeys(streams, 0.0)
    done: list[range] = []
    summing = False
    while busy:
        name = min(busy, key=lambda each: busy[each])
        begin = len(builder.commands)
        try:
            rows = next(streams[name])
        except StopIteration:
            del busy[name]
            continue
        fresh = builder.commands[begin:]
        if not fresh and len(busy) > 1:
            # It waits for the other engine, which therefore has to go on.
            busy[name] = max(busy.values()) + 1
        cycles = sum(engine_cycles(command, builder.config) for command in fresh)
        busy[name] += cycles * (pace if name == "array" else 1.0)
        if rows is not None:
            done.append(rows)
        if name == "array":
            summing = rows is None
        if not summing:
            yield from done
            done = []
    yield from done


def in_order(done: Iterable[range], parts: Iterable[range]) -> Iterator[range]:
    """Yield `parts` in their order, each as soon as it and those before are all done."""
    waiting, reached = {}, 0
    expected = list(parts)
    for rows in done:
        waiting[rows.start] = rows.stop
        while reached in waiting:
            reached = waiting.pop(reached)
        while expected and expected[0].stop <= reached:
            yield expected.pop(0)
