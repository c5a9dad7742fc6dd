# SPDX-License-Identifier: Apache-2.0
"""Typed commands of the update unit, and the repeat: what makes a training one run."""

from dataclasses import dataclass
from typing import ClassVar

from gcnloom_spec.isa import Opcode, Unit

__all__ = ["Loss", "Repeat", "Scale", "Step"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Loss:
    """Softmax cross-entropy of `count` rows of logits, and its gradient.

    ::

        if first: totals = 0 of each split
        for i in range(count):
            row = [item(device[address + panel * pitch:], i) for panel in range(panels)]
            label, split = item(device[labels:], i)
            g, loss, correct = softmax(row[:classes], label, scales[logits].shift, multiplier)
            totals[split] += loss, correct
            if gradient:
                g = requantise(g if split == TRAIN else 0, scales[tensor].shift)
                item(device[gradients + panel * gradient_pitch:], i) = g of each panel
        item(device[record:], step) = totals

    The arithmetic is that of :func:`gcnloom_spec.softmax.softmax`; `g` counts in the statistics
    of `tensor`. A label is two bytes, a record 32; both lie as the configuration's packings say.
    With `judged` the validation nodes' total is looked at for early stopping, see
    :class:`Repeat`.
    """

    opcode: ClassVar[Opcode] = Opcode.LOSS
    unit: ClassVar[Unit] = Unit.UPDATE
    count: int
    classes: int
    panels: int
    address: int
    labels: int
    record: int
    multiplier: int
    logits: int
    pitch: int = 0
    gradient: int = 0
    gradients: int = 0
    gradient_pitch: int = 0
    tensor: int = 0
    judged: int = 0
    first: int = 1
    waits: int = 0
    signals: int = 0


@dataclass(frozen=True, kw_only=True, slots=True)
class Step:
    """Update the weights whose gradients an engine emits with `step` set.

    ::

        for i in range(count):
            sums = next vector that `source` emitted with `step` set
            weights, momenta = item(device[address:], i)
            weights, momenta = step(weights, momenta, sums, scales[gradient].shift, ...)
            item(device[address:], i) = weights, momenta
            item(device[operands:], offset + i) = requantise(weights, scales[tensor].shift)

    The arithmetic is that of :func:`gcnloom_spec.descent.step`, with `rate_shift` larger by one
    for every ``2 ** halving`` steps (0: never); `stochastic` draws as an emission of `tensor` from
    `row` and `feature` on does, DROPOUT bytes for momenta, ROUNDING bytes for weights. Weights
    count in the statistics of `tensor`, clipped operands in its saturations; clipped weights and
    momenta in the saturations of `gradient`. A step comes before the command that emits to it.
    """

    opcode: ClassVar[Opcode] = Opcode.STEP
    unit: ClassVar[Unit] = Unit.UPDATE
    source: int
    count: int
    address: int
    operands: int
    tensor: int
    gradient: int
    rate: int
    rate_shift: int
    momentum: int = 0
    decay: int = 0
    decay_shift: int = 0
    halving: int = 0
    offset: int = 0
    stochastic: int = 0
    row: int = 0
    feature: int = 0
    waits: int = 0
    signals: int = 0


@dataclass(frozen=True, kw_only=True, slots=True)
class Scale:
    """Choose a tensor's shift for its next results.

    ::

        FIT:                                                  # delayed scaling
            if statistics[tensor].envelope:
                fits = max(0, bit_length(statistics[tensor].envelope) + 1 - operand_width)
                scales[tensor].wanted = scales[tensor].exponent - scales[tensor].shift + fits
            statistics[tensor].envelope = 0
            sums = scales[left].exponent + scales[right].exponent
            scales[tensor].shift = clip(scales[tensor].wanted - sums, 0, 63)
            scales[tensor].exponent = sums + scales[tensor].shift
        SAME:
            scales[tensor] = scales[left]
        SET:
            scales[tensor] = exponent, wanted, 0              # the shift

    A scale has the exponent that a tensor's mantissas have, the exponent that they are wanted to
    have, and the shift that the requantising needs. Exponents wrap modulo ``2 ** 12``. Scales
    outlive programs.
    """

    opcode: ClassVar[Opcode] = Opcode.SCALE
    unit: ClassVar[Unit] = Unit.UPDATE
    rule: int
    tensor: int
    left: int = 0
    right: int = 0
    exponent: int = 0
    wanted: int = 0
    waits: int = 0
    signals: int = 0


@dataclass(frozen=True, kw_only=True, slots=True)
class Repeat:
    """End a program; go on with another, or with one that has run.

    ::

        wait until every effect of every command before is visible
        step += advance
        done[loop] += 1
        if advance and finish is asked for, or patience and worse >= patience: end
        elif done[loop] < passes: run target_count commands from target on
        else: done[loop] = 0; run following_count commands from following on

    Executed by the sequencer. `target` and `following` count memory words from the first of the
    run's program; without commands to follow the run ends. `worse` counts the judged losses since
    the last that was smaller than all before it.
    """

    opcode: ClassVar[Opcode] = Opcode.REPEAT
    passes: int = 1
    loop: int = 0
    advance: int = 0
    patience: int = 0
    target: int = 0
    target_count: int = 0
    following: int = 0
    following_count: int = 0
