# SPDX-License-Identifier: Apache-2.0
"""Memory words that losses and weight steps move, and what a device counts."""

from collections.abc import Mapping

from gcnloom_spec.commands import Loss, Step
from gcnloom_spec.config import AcceleratorConfig
from gcnloom_spec.registers import COMPACT_COUNTERS, COUNTERS

__all__ = ["counted", "loss_traffic", "step_traffic"]


def loss_traffic(command: Loss, config: AcceleratorConfig) -> dict[str, int]:
    """Words of a loss: it asks for each item of logits by itself, and writes each vector so."""
    vectors = command.count * command.panels
    read = vectors * config.sums.words_per_item + config.label.words(command.count)
    written = (vectors if command.gradient else 0) + config.record.words_per_item
    return {"loss_words": read, "update_words": written}


def step_traffic(command: Step, config: AcceleratorConfig) -> dict[str, int]:
    """Words of a weight step: weights and momenta both ways, operands word by word."""
    masters = config.masters.words(command.count)
    last = (command.offset + command.count - 1) // config.vector.items_per_word
    operands = last - command.offset // config.vector.items_per_word + 1
    return {"step_words": masters, "update_words": masters + operands}


def counted(counters: Mapping[str, int], config: AcceleratorConfig) -> dict[str, int]:
    """Every counter by name; zero for what the device does not count."""
    names = COMPACT_COUNTERS if config.compact else COUNTERS
    return dict.fromkeys(COUNTERS, 0) | {name: counters[name] for name in names}
