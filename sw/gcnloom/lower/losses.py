# SPDX-License-Identifier: Apache-2.0
"""Losses as commands, and the labels and records that they need in device memory."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from gcnloom.errors import ConfigError
from gcnloom.graphs.graph import Graph
from gcnloom.layers import Network
from gcnloom.lower.builder import Tensor
from gcnloom.tensors.items import pack_items
from gcnloom.tensors.memory import Allocator, TensorLayout
from gcnloom_spec.commands import Loss
from gcnloom_spec.config import LABEL_BYTES, AcceleratorConfig, Packing
from gcnloom_spec.isa import WORDS, Opcode
from gcnloom_spec.items import LABEL, RECORD, Split
from gcnloom_spec.softmax import multiplier_for

__all__ = ["MOST_PANELS", "Losses"]

MOST_PANELS = 32
"""Panels of logits that the device keeps of a row."""
ROWS = 1 << 15
"""Rows of one command."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Losses:
    """Labels and records of one graph in device memory.

    Parameters
    ----------
    network : Network
    config : AcceleratorConfig
    labels : bytes
        Packed, in the order of the rows.
    labels_address, training_records, inference_records : int
    steps : int
        Steps that there are records for, from 0 on.
    """

    network: Network
    config: AcceleratorConfig
    labels: bytes
    labels_address: int
    training_records: int
    inference_records: int
    steps: int

    @classmethod
    def place(
        cls, graph: Graph, order: NDArray[np.int64], network: Network, config: AcceleratorConfig,
        allocator: Allocator, *, steps: int,
    ) -> "Losses":  # fmt: skip
        """Place the labels of a graph, in the order of its rows, and records of so many steps."""
        panels = -(-network.widths[-1] // config.lanes)
        if panels > MOST_PANELS:
            raise ConfigError(
                f"{network.widths[-1]} classes are more than the {MOST_PANELS * config.lanes} that "
                "the device's loss unit takes; try --update host"
            )
        if len(np.unique(graph.train)) != len(graph.train):
            raise ConfigError(
                f"{graph.name} lists a training node more than once, which the device's loss unit "
                "does not count; try each once, or --update host"
            )
        splits = np.zeros(graph.nodes, dtype=np.int64)
        for nodes, split in ((graph.test, Split.TEST), (graph.val, Split.VAL)):
            splits[nodes] = split
        splits[graph.train] = Split.TRAIN
        known = np.where(splits != Split.NONE, graph.labels, 0)
        items = LABEL.pack(label=known[order], split=splits[order])
        labels = pack_items(items, LABEL_BYTES, config.label, config.memory_bytes)
        words = config.record.words(steps)
        return cls(
            network=network, config=config, labels=labels, steps=steps,
            labels_address=allocator.allocate("labels", len(labels) // config.memory_bytes),
            training_records=allocator.allocate("training records", words),
            inference_records=allocator.allocate("inference records", words),
        )  # fmt: skip

    def training(self, logits: Tensor, gradient: Tensor, rows: int) -> list[Loss]:
        """Loss of the first rows, the training nodes, and its gradient.

        What is dropped makes up for the `1 / kept` in the weights, so that logits count as they
        are. Those of two layers count `kept` times, a softer loss that trains them as well:
        weights of such trainings stay what they have been, to the bit.
        """
        network = self.network
        return self._commands(
            logits.layout, rows, record=self.training_records,
            logits=network.identifier("logits"), tensor=network.identifier(gradient.name),
            gradient=gradient.layout, scale=network.kept if network.layers == 2 else 1.0,
        )  # fmt: skip

    def inference(self, logits: Tensor) -> list[Loss]:
        """Losses of all nodes; those of validation are judged.

        Nothing is dropped that would make up for the `1 / kept` in the weights of later layers.
        """
        return self._commands(
            logits.layout, logits.rows, record=self.inference_records,
            logits=self.network.identifier("infer_logits"), judged=True,
            scale=self.network.kept ** (self.network.layers - 1),
        )  # fmt: skip

    def unpack(self, data: bytes) -> dict[str, NDArray[np.int64]]:
        """Fields of records, by step."""
        packing = self.config.record
        raw = np.frombuffer(data, dtype=np.uint8).reshape(-1, packing.item_bytes)
        limbs = np.ascontiguousarray(raw[:, : 8 * RECORD.limbs]).view("<u8")
        return RECORD.unpack(limbs.astype(np.uint64))

    def _commands(
        self, layout: TensorLayout, rows: int, *, record: int, scale: float,
        gradient: TensorLayout | None = None, judged: bool = False, **numbers: int,
    ) -> list[Loss]:  # fmt: skip
        most = (1 << WORDS[Opcode.LOSS].fields["pitch"]) - 1
        if layout.panels > 1 and layout.panel_words > most:
            raise ConfigError(
                f"{layout.rows} nodes are more than the device's loss unit takes of "
                f"{self.network.widths[-1]} classes; try --update host"
            )
        starts = range(0, rows, ROWS)
        return [
            Loss(
                count=min(ROWS, rows - start), classes=self.network.widths[-1],
                panels=layout.panels, address=layout.panel_address(0, start),
                pitch=layout.panel_words if layout.panels > 1 else 0,
                labels=self.labels_address + _words(self.config.label, start),
                gradient=int(gradient is not None),
                gradients=gradient.panel_address(0, start) if gradient else 0,
                gradient_pitch=gradient.panel_words if gradient and layout.panels > 1 else 0,
                record=record, first=int(start == 0),
                judged=int(judged and start == starts[-1]),
                multiplier=multiplier_for(scale),
                **numbers,
            )
            for start in starts
        ]  # fmt: skip


def _words(packing: Packing, items: int) -> int:
    return items // packing.items_per_word * packing.words_per_item
