# SPDX-License-Identifier: Apache-2.0
"""A training that stays on the device: its state there, and runs of many epochs as one."""

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from gcnloom.device import RunResult
from gcnloom.graphs.graph import Graph
from gcnloom.lower.losses import Losses
from gcnloom.lower.routine import Training
from gcnloom.training.engine import Engine
from gcnloom.training.loss import cross_entropy
from gcnloom.training.masters import Masters, pack_masters, unpack_masters
from gcnloom.training.options import Options
from gcnloom.training.passes import MOST_REPEATS
from gcnloom.training.weights import whole_weights
from gcnloom.transport import NOTHING_JUDGED, Judged
from gcnloom_spec.number import envelope, exponent_for, requantise, shift_for
from gcnloom_spec.softmax import PROBABILITY_FRACTION, WANTED

__all__ = ["Resident", "State"]

Array = NDArray[np.float64]


@dataclass(frozen=True, kw_only=True, eq=False)
class State:
    """All that a training on the device is continued from.

    Attributes
    ----------
    step : int
        Epochs done.
    masters : tuple of Masters
        By layer.
    used : tuple of int
        Exponents of the weights as operands, by layer.
    wanted : dict[str, int]
        Wanted exponents by tensor name.
    judged : Judged
    owes : bool
        Whether it was interrupted before the last epoch was judged, which was due.
    """

    step: int
    masters: tuple[Masters, ...]
    used: tuple[int, ...]
    wanted: dict[str, int]
    judged: Judged = NOTHING_JUDGED
    owes: bool = False


class Resident:
    """Runs of epochs on a device that updates the weights itself.

    Parameters
    ----------
    engine : Engine
        Lowered with weight steps.
    graph : Graph
    options : Options

    Attributes
    ----------
    losses : Losses
    clipped : dict[str, int]
        Weights and momenta that runs clipped, by layer.
    """

    def __init__(self, engine: Engine, graph: Graph, options: Options) -> None:
        self._engine, self._graph, self._options = engine, graph, options
        self.clipped: dict[str, int] = {}
        device = engine.device
        self.losses = Losses.place(
            graph, engine.graph.order, engine.network, device.config, device.memory,
            steps=options.epochs + 1,
        )  # fmt: skip
        device.write_bytes(self.losses.labels_address, self.losses.labels)
        for layer in range(2, engine.network.layers + 1):
            layout = engine.lowered.layout(f"identity{layer}")
            device.write(layout, np.eye(layout.rows, layout.features, dtype=np.int64))
        if "zeros" in engine.lowered.tensors:
            layout = engine.lowered.layout("zeros")
            device.write(layout, np.zeros((layout.rows, layout.features), dtype=np.int64))
        # What the loss does not see has no gradient.
        gradient = engine.lowered.layout(f"gradient{engine.network.layers}")
        device.write(gradient, np.zeros((gradient.rows, gradient.features), dtype=np.int64))

    def first(self, weights: list[Array]) -> State:
        """State of an untrained network: its passes are repeated until their shifts fit."""
        engine, graph, network = self._engine, self._graph, self._engine.network
        width, nodes = engine.device.config.master_width, len(graph.train)
        for _ in range(MOST_REPEATS):
            logits = engine.forward(weights, step=0, training=True)
            _, gradient = cross_entropy(logits, graph.labels, graph.train)
            # The device's loss is a sum where the host's is a mean.
            gradients = engine.backward(nodes * gradient, step=0)
            top = exponent_for(nodes * gradient, engine.device.config.operand_width)
            if engine.settled("forward") and engine.settled("backward"):
                break
        engine.logits(weights)
        scales = [1.0] + [network.kept] * (network.layers - 1)
        masters = tuple(
            Masters.of(
                whole_weights(network, layer, each), gradient * scale, scale=scale, width=width
            )
            for layer, (each, gradient, scale) in enumerate(
                zip(weights, gradients, scales, strict=True), start=1
            )
        )
        return State(
            step=0, masters=masters, wanted=self._first_wanted(masters, top),
            used=tuple(each.exponent + self._fitting(each) for each in masters),
        )  # fmt: skip

    def run(
        self, state: State, epochs: int, watch: Callable[[int], object]
    ) -> tuple[State, RunResult]:  # fmt: skip
        """Train for so many epochs, in one run; return where it came to.

        `watch` is told now and then how many epochs are done. An interruption from the keyboard
        ends the run after the epoch under way, and the result says so.
        """
        engine, options = self._engine, self._options
        nodes = len(self._graph.train)
        training = Training(
            engine.lowered, self.losses, nodes,
            [
                masters.coefficients(options, layer, nodes)
                for layer, masters in enumerate(state.masters, start=1)
            ],
        )  # fmt: skip
        every = options.validate_every
        routine = training.routine(
            self._exponents(state), state.wanted, epochs=epochs, every=every,
            patience=options.patient_judgements,
            begun=state.step % every if every else 0, owes=state.owes,
        )  # fmt: skip
        self._write(state)
        result = engine.run_routine(routine, step=state.step, judged=state.judged, watch=watch)
        for layer in range(1, engine.network.layers + 1):
            clipped = result.saturations[engine.network.identifier(f"weight_gradient{layer}")]
            if clipped:
                name = f"weights{layer}"
                self.clipped[name] = self.clipped.get(name, 0) + int(clipped)
        return self._read(state, result), result

    def judges(self, step: int) -> bool:
        """Whether validation nodes are judged once so many epochs are done."""
        every = self._options.validate_every
        return every > 0 and step % every == 0

    def records(self, steps: range, *, inference: bool) -> dict[str, NDArray[np.int64]]:
        """Read what the losses left of some steps."""
        losses, packing = self.losses, self._engine.device.config.record
        region = losses.inference_records if inference else losses.training_records
        first = steps.start // packing.items_per_word
        stop = packing.words(steps.stop) // packing.words_per_item
        raw = self._engine.device.read_bytes(
            region + first * packing.words_per_item, (stop - first) * packing.words_per_item
        )
        skip = steps.start - first * packing.items_per_word
        fields = losses.unpack(raw)
        return {name: column[skip : skip + len(steps)] for name, column in fields.items()}

    def _first_wanted(self, masters: tuple[Masters, ...], top: int) -> dict[str, int]:
        """Exponents that tensors are wanted to have, as the host's passes have found them."""
        engine, last = self._engine, self._engine.network.layers
        names = engine.network.tensor_names()
        wanted = {"logits": WANTED, "infer_logits": WANTED, f"gradient{last}": top}
        for key in ("forward", "backward"):
            wanted |= {names[number]: at for number, at in engine.scales[key].wanted.items()}
        infer = engine.scales["infer"].wanted
        wanted |= {f"infer_{names[number]}": at for number, at in infer.items()}
        for layer, each in enumerate(masters, start=1):
            wanted[f"weights{layer}"] = each.exponent + self._fitting(each)
            wanted[f"weight_gradient{layer}"] = each.gradient_wanted
        return wanted

    def _exponents(self, state: State) -> dict[str, int]:
        """Exponents that do not follow from others at the start of a run."""
        graph = self._engine.graph
        exponents = {
            "adjacency": graph.adjacency_exponent, "features": graph.features_exponent,
            "probability": -PROBABILITY_FRACTION, "one": 0,
        }  # fmt: skip
        for layer, (masters, used) in enumerate(
            zip(state.masters, state.used, strict=True), start=1
        ):
            exponents |= {f"masters{layer}": masters.exponent, f"used_weights{layer}": used}
        return exponents

    def _write(self, state: State) -> None:
        """Write weights and momenta, and the weights as operands; forget judgements."""
        device, lowered = self._engine.device, self._engine.lowered
        judged = device.config.record.words(self.losses.steps)
        device.write_bytes(
            self.losses.inference_records, bytes(judged * device.config.memory_bytes)
        )
        width = device.config.operand_width
        for layer, (masters, used) in enumerate(
            zip(state.masters, state.used, strict=True), start=1
        ):
            layout, blocks = lowered.layout(f"masters{layer}"), lowered.blocks[f"weights{layer}"]
            packed = pack_masters(
                layout, *(
                    blocks.spread(each, layout.rows) for each in (masters.weights, masters.momenta)
                ),
            )  # fmt: skip
            device.write_bytes(layout.address, packed)
            operands, _ = requantise(masters.weights, used - masters.exponent, width)
            self._engine.write_weights(f"weights{layer}", operands)

    def _read(self, state: State, result: RunResult) -> State:
        device, network = self._engine.device, self._engine.network
        exponents, wanted, _ = device.scales()
        masters = []
        for layer, each in enumerate(state.masters, start=1):
            layout = self._engine.lowered.layout(f"masters{layer}")
            data = device.read_bytes(layout.address, layout.words)
            parts = unpack_masters(layout, data, (layout.rows, each.weights.shape[1]))
            weights, momenta = (
                self._engine.lowered.blocks[f"weights{layer}"].collect(part) for part in parts
            )
            masters.append(replace(each, weights=weights, momenta=momenta))
        names = network.every_name()
        used = (network.identifier(f"used_weights{layer}") for layer in range(1, len(masters) + 1))
        return State(
            step=result.ended.step, masters=tuple(masters), judged=result.ended.judged,
            owes=self.judges(result.ended.step) and not self._judged(result.ended.step),
            used=tuple(int(exponents[number]) for number in used),
            wanted={name: int(wanted[n]) for n, name in names.items() if name in state.wanted},
        )  # fmt: skip

    def _judged(self, step: int) -> bool:
        """Whether a judgement has left its record, which a run finds empty."""
        record = self.records(range(step, step + 1), inference=True)
        return any(column.any() for column in record.values())

    def _fitting(self, masters: Masters) -> int:
        """Shift by which weights just fit their operands."""
        return shift_for(envelope(masters.weights), self._engine.device.config.operand_width)
