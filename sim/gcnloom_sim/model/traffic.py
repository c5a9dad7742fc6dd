# SPDX-License-Identifier: Apache-2.0
"""Memory words that losses and weight steps move, by the names of the counters."""

from gcnloom_spec.commands import Loss, Step
from gcnloom_spec.config import AcceleratorConfig

__all__ = ["loss_traffic", "step_traffic"]


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
