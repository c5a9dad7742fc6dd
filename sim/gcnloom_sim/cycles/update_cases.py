# SPDX-License-Identifier: Apache-2.0
"""Losses, weight steps and scales to be repeated, for holding predictions against measurements."""

from collections.abc import Iterator
from dataclasses import replace

from gcnloom_spec.commands import Command, Drain, Emission, Loss, Scale, Step, Transform
from gcnloom_spec.config import AcceleratorConfig
from gcnloom_spec.isa import Mode, Rule, Source

__all__ = ["losses", "moved", "scales", "steps"]

LABELS_AT, RESULTS_AT, OPERANDS_AT, RECORD_AT = 1024, 2048, 3200, 3584
"""Where things lie among the memory words of a case."""
PANELS = 2
"""Of the rows of a loss."""
NUMBERS = {"tensor": 1, "gradient": 2, "rate": 100, "rate_shift": 5}
RAW = {"raw": 1, "step": 1}

Named = tuple[str, tuple[Command, ...]]
"""A kind of command, and what is repeated."""


def moved(command: Command, base: int) -> Command:
    """Let a command's data lie from memory word `base` on."""
    match command:
        case Loss():
            return replace(
                command, address=base + command.address, labels=base + command.labels,
                gradients=base + command.gradients, record=base + command.record,
            )  # fmt: skip
        case Step():
            places = base + command.address, base + command.operands
            return replace(command, address=places[0], operands=places[1])
    return command


def losses(config: AcceleratorConfig, count: int) -> Iterator[Named]:
    """Losses of `count` rows, without and with their gradients."""
    loss = Loss(
        count=count, classes=PANELS * config.lanes - 1, panels=PANELS, address=0,
        pitch=config.sums.words(count), labels=LABELS_AT, record=RECORD_AT, multiplier=1,
        logits=1, gradients=RESULTS_AT, gradient_pitch=config.vector.words(count), tensor=2,
    )  # fmt: skip
    yield "LOSS", (loss,)
    yield "LOSS with gradients", (replace(loss, gradient=1),)


def steps(config: AcceleratorConfig, count: int) -> Iterator[Named]:
    """Weight steps of `count` vectors that come from either engine."""
    emission = Emission(vectors=count, **RAW)
    engines: dict[Source, Drain | Transform] = {
        Source.AGGREGATE: Drain(order_base=0, count=count, emission=emission),
        Source.TRANSFORM: Transform(mode=Mode.PASS, count=count, emission=emission),
    }
    for source, emitting in engines.items():
        step = Step(source=source, count=count, address=RESULTS_AT, operands=OPERANDS_AT, **NUMBERS)
        for ending, stochastic in (("", 0), (", random bits", 1)):
            name = f"STEP of {emitting.opcode.name}{ending}"
            yield name, (replace(step, stochastic=stochastic), emitting)


def scales() -> Iterator[Named]:
    """Scales by each rule."""
    for rule in Rule:
        yield f"SCALE {rule.name}", (Scale(rule=rule, tensor=1, left=2, right=3),)
