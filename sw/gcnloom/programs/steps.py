# SPDX-License-Identifier: Apache-2.0
"""Steps of a program: commands that no command before or after them has to run beside."""

from collections.abc import Iterator, Sequence

from gcnloom_spec.commands import Command, Drain, Emission, Step, Store, Transform
from gcnloom_spec.isa import Source

__all__ = ["steps"]


def steps(commands: Sequence[Command]) -> Iterator[range]:
    """Cut a program into its shortest steps.

    A store, or a weight step, comes before the commands that emit to it and ends only after them:
    they are one step. Every other command is one by itself.
    """
    start = 0
    owed = dict.fromkeys(Source, 0)
    for index, command in enumerate(commands):
        match command:
            case Store() | Step():
                owed[Source(command.source)] += command.count
            case Drain():
                owed[Source.AGGREGATE] -= _handed_out(command.emission)
            case Transform():
                owed[Source.TRANSFORM] -= _handed_out(command.emission)
        if not any(owed.values()):
            yield range(start, index + 1)
            start = index + 1
    if start < len(commands):
        yield range(start, len(commands))


def _handed_out(emission: Emission) -> int:
    return emission.vectors * (emission.store + emission.step)
