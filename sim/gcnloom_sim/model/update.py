# SPDX-License-Identifier: Apache-2.0
"""The update unit of the model: losses, weight steps and scales."""

from collections.abc import Callable
from functools import partial

import numpy as np
from numpy.typing import NDArray

from gcnloom.tensors.items import pack_elements, unpack_elements
from gcnloom.transport import Judged
from gcnloom_sim.model.epilogue import Epilogue
from gcnloom_sim.model.scales import Scales
from gcnloom_spec.commands import Loss, Step
from gcnloom_spec.config import LABEL_BYTES, AcceleratorConfig, Packing
from gcnloom_spec.descent import Coefficient, step
from gcnloom_spec.items import LABEL, RECORD, Split
from gcnloom_spec.number import envelope, requantise
from gcnloom_spec.random import DROPOUT, ROUNDING, draw
from gcnloom_spec.registers import MOST_SHIFT
from gcnloom_spec.softmax import softmax

__all__ = ["Update"]

NAMES = {Split.TRAIN: "train", Split.VAL: "val", Split.TEST: "test"}


class Update:
    """Executes on device memory, of which `view` gives words ``address`` on as bytes.

    Attributes
    ----------
    scales : Scales
    judged : Judged
    train_loss : int
        Of the last record.
    """

    def __init__(
        self, config: AcceleratorConfig, view: Callable[[int, int], NDArray[np.uint8]]
    ) -> None:
        self.config, self._view = config, view
        self.scales = Scales(config)
        self.judged = Judged()
        self.train_loss = 0
        self._totals = dict.fromkeys(RECORD.fields, 0)

    @property
    def answer(self) -> Judged:
        """What the device's registers say of judged losses."""
        return Judged(best=0, worse=0) if self.config.compact else self.judged

    def loss(self, command: Loss, epilogue: Epilogue, now: int) -> None:
        """Execute a :class:`Loss` in step `now`."""
        config, lanes = self.config, self.config.lanes
        places = (command.address + panel * command.pitch for panel in range(command.panels))
        panels = [self._items(place, command.count, config.sums) for place in places]
        sums = np.concatenate(
            [unpack_elements(panel, lanes, config.sum_bytes, config.sum_width) for panel in panels],
            axis=1,
        )
        packed = self._items(command.labels, command.count, config.label).copy()
        fields = LABEL.unpack(packed.view(f"<u{LABEL_BYTES}").astype(np.uint64))
        labels, splits = fields["label"], fields["split"]
        result = softmax(
            sums[:, : command.classes], labels, shift=self.scales.shift(command.logits),
            multiplier=command.multiplier,
        )  # fmt: skip
        if command.first:
            self._totals = dict.fromkeys(RECORD.fields, 0)
        for split, name in NAMES.items():
            self._totals[f"{name}_loss"] += int(result.losses[splits == split].sum())
            self._totals[f"{name}_correct"] += int(result.correct[splits == split].sum())
        if command.gradient:
            gradient = np.zeros_like(sums)
            gradient[:, : command.classes] = result.gradient
            gradient[splits != Split.TRAIN] = 0
            self._write_gradient(command, gradient, epilogue)
        self._record(command.record, now)
        self.train_loss = self._totals["train_loss"]
        if command.judged:
            self.judged = self.judged.after(self._totals["val_loss"])

    def step(
        self, command: Step, done: int, sums: NDArray[np.int64], epilogue: Epilogue,
        key: tuple[int, int],
    ) -> None:  # fmt: skip
        """Step the weights from item `done` of a command on."""
        config, lanes, count = self.config, self.config.lanes, len(sums)
        items = self._items(command.address, done + count, config.masters)[done:]
        masters = unpack_elements(items, 2 * lanes, config.master_bytes, config.master_width)
        late = key[1] >> command.halving if command.halving else 0
        noise = None
        if command.stochastic:
            rows = (command.row + done + np.arange(count)) & 0xFFFFFFFF
            octets = partial(
                draw, seed=key[0], step=key[1], tensor=command.tensor, rows=rows,
                feature=command.feature, count=lanes,
            )  # fmt: skip
            noise = octets(purpose=DROPOUT), octets(purpose=ROUNDING)
        result = step(
            masters[:, :lanes], masters[:, lanes:], sums,
            shift=self.scales.shift(command.gradient), momentum=command.momentum,
            decay=Coefficient(command.decay, command.decay_shift),
            rate=Coefficient(command.rate, min(MOST_SHIFT, command.rate_shift + late)),
            width=config.master_width, noise=noise,
        )  # fmt: skip
        packed = np.concatenate([result.weights, result.momenta], axis=1)
        items[:] = pack_elements(packed, config.master_bytes, config.masters)
        epilogue.saturations[command.gradient] += result.clipped
        epilogue.envelopes[command.tensor] |= envelope(result.weights)
        operands, clipped = requantise(
            result.weights, self.scales.shift(command.tensor), config.operand_width
        )
        epilogue.saturations[command.tensor] += clipped
        first = command.offset + done
        places = self._items(command.operands, first + count, config.vector)[first:]
        places[:] = pack_elements(operands, config.operand_bytes, config.vector)

    def _write_gradient(
        self, command: Loss, gradient: NDArray[np.int64], epilogue: Epilogue
    ) -> None:
        config, lanes = self.config, self.config.lanes
        epilogue.envelopes[command.tensor] |= envelope(gradient)
        shift = self.scales.shift(command.tensor)
        operands, clipped = requantise(gradient, shift, config.operand_width)
        epilogue.saturations[command.tensor] += clipped
        for panel in range(command.panels):
            vectors = operands[:, panel * lanes : (panel + 1) * lanes]
            address = command.gradients + panel * command.gradient_pitch
            items = self._items(address, command.count, config.vector)
            items[:] = pack_elements(vectors, config.operand_bytes, config.vector)

    def _record(self, region: int, now: int) -> None:
        packing = self.config.record
        word, inside = divmod(now, packing.items_per_word)
        address = (region + word * packing.words_per_item) & 0xFFFFFFFF
        totals = {
            name: total & ((1 << RECORD.fields[name]) - 1) for name, total in self._totals.items()
        }
        limbs = RECORD.pack(**totals).astype("<u8").view(np.uint8)
        item = self._items(address, inside + 1, packing)[inside]
        item[: len(limbs)] = limbs
        item[len(limbs) :] = 0

    def _items(self, address: int, count: int, packing: Packing) -> NDArray[np.uint8]:
        """Items from `address` on, a row of bytes each, to be read or written."""
        raw = self._view(address, packing.words(count))
        return raw[: count * packing.item_bytes].reshape(count, packing.item_bytes)
