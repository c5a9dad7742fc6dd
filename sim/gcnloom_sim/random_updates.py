# SPDX-License-Identifier: Apache-2.0
"""Random but legal losses, weight steps and scales, for random programs."""

from collections.abc import Callable, Sequence

import numpy as np
from numpy.random import Generator

from gcnloom.programs.access import DEVICE, SCALES, Access, accesses_of
from gcnloom.tensors.items import pack_items
from gcnloom_sim.random_choices import Dice
from gcnloom_spec.commands import Loss, Scale, Step
from gcnloom_spec.config import AcceleratorConfig
from gcnloom_spec.isa import Rule, Source
from gcnloom_spec.items import LABEL, Split
from gcnloom_spec.registers import STATISTICS

__all__ = ["Updates", "counted"]

ROWS = 64
"""Rows of each table of labels."""
CLASSES = (1, 3, 20)
"""Labels of a table are below one of these."""
MOST_PANELS = 4
TENSORS = 12
"""So few have scales that commands meet each other's."""
MOST_TRIES = 12


class Updates:
    """Writes commands of the update unit, and what they access.

    Parameters
    ----------
    config : AcceleratorConfig
    rng : Generator
    step : int
        The step that the program runs in.

    Attributes
    ----------
    labels : bytes
        Tables of labels, to lie in whole words of device memory that nothing writes.
    """

    def __init__(self, config: AcceleratorConfig, rng: Generator, step: int) -> None:
        self.config, self.rng = config, rng
        self._dice, self._step = Dice(config, rng), step
        tables = []
        for classes in CLASSES:
            labels = rng.integers(0, classes, ROWS)
            packed = LABEL.pack(label=labels, split=rng.integers(len(Split), size=ROWS))
            # What a label leaves of its bytes may be anything.
            packed |= rng.integers(0, 4, packed.shape).astype(np.uint64) << np.uint64(LABEL.width)
            tables.append(pack_items(packed, 2, config.label, config.memory_bytes))
        self._words = len(tables[0]) // config.memory_bytes
        self.labels = b"".join(tables)

    def tensor(self) -> int:
        """Choose a tensor with a scale."""
        return int(self.rng.integers(TENSORS)) * (STATISTICS - 1) // (TENSORS - 1)

    def scale(self) -> Scale:
        """Choose a scale; that of a tensor is set more often than it is far away."""
        rule = Rule(int(self.rng.choice(3, p=[0.5, 0.15, 0.35])))
        far = 2048 if self._dice.flag(0.05) else 20
        exponent, wanted = self.rng.integers(-far, far, 2).tolist()
        tensor, left, right = self.tensor(), self.tensor(), self.tensor()
        return Scale(
            rule=rule, tensor=tensor, left=left, right=right, exponent=exponent, wanted=wanted
        )

    def loss(
        self, place: Callable[[int], int], labels_address: int
    ) -> tuple[Loss, list[Access]] | None:
        """Choose a loss, if there is place for what it reads and writes.

        Parameters
        ----------
        place : callable
            Chooses where so many words lie.
        labels_address : int
            First word of the tables of labels.
        """
        config, rng = self.config, self.rng
        count = int(rng.integers(1, 13))
        panels = int(rng.integers(1, MOST_PANELS, endpoint=True))
        classes = config.lanes * (panels - 1) + int(rng.integers(1, config.lanes, endpoint=True))
        table = max(index for index, most in enumerate(CLASSES) if most <= classes)
        pitch = config.sums.words(count) + int(rng.integers(3))
        gradient_pitch = config.vector.words(count) + int(rng.integers(3))
        for _ in range(MOST_TRIES):
            record = place(config.record.words_per_item)
            command = Loss(
                count=count, classes=classes, panels=panels, pitch=pitch,
                gradient_pitch=gradient_pitch, address=place(panels * pitch),
                gradients=place(panels * gradient_pitch),
                labels=labels_address + table * self._words,
                record=(record - config.record.words(self._inside())) & 0xFFFFFFFF,
                multiplier=int(rng.integers(1 << 16)), logits=self.tensor(), tensor=self.tensor(),
                gradient=self._dice.flag(0.7), judged=self._dice.flag(0.3),
                first=self._dice.flag(0.6),
            )  # fmt: skip
            end = record + config.record.words_per_item
            accesses = [*accesses_of(command, config), Access(DEVICE, record, end, True)]
            if _apart(accesses):
                return command, accesses
        return None

    def steps(
        self, source: Source, vectors: int, place: Callable[[int], int], taken: Sequence[Access]
    ) -> tuple[Step, list[Access]] | None:
        """Choose a step of so many vectors, away from what is `taken` by what it waits for."""
        config, rng = self.config, self.rng
        offset = int(rng.integers(64))
        for _ in range(MOST_TRIES):
            command = Step(
                source=source, count=vectors, address=place(config.masters.words(vectors)),
                operands=place(config.vector.words(offset + vectors)), offset=offset,
                tensor=self.tensor(), gradient=self.tensor(), stochastic=self._dice.flag(0.5),
                momentum=int(rng.integers(256)), decay=int(rng.integers(256)),
                decay_shift=int(rng.integers(64)), rate=int(rng.integers(256)),
                rate_shift=int(rng.integers(64)),
                halving=int(rng.choice(np.array([0, 3, rng.integers(32)]))),
                row=int(rng.integers((1 << 32) - vectors)),
                feature=config.lanes * int(rng.integers((1 << 16) // config.lanes)),
            )  # fmt: skip
            accesses = accesses_of(command, config)
            if _apart([*accesses, *taken]):
                end = command.address + config.masters.words(vectors)
                return command, [*accesses, Access(DEVICE, command.address, end, False)]
        return None

    def _inside(self) -> int:
        """Return the steps whose records lie in words before that of this one."""
        return self._step - self._step % self.config.record.items_per_word


def counted(tensor: int) -> Access:
    """Access of an emission whose envelope a scale may be fitted to."""
    return Access(SCALES, tensor, tensor + 1, False)


def _apart(accesses: Sequence[Access]) -> bool:
    """Whether nothing that is written in device memory is touched twice."""
    touched = [each for each in accesses if each.space == DEVICE]
    return not any(
        (one.write or other.write) and one.low < other.high and other.low < one.high
        for index, one in enumerate(touched)
        for other in touched[:index]
    )
