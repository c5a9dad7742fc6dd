# SPDX-License-Identifier: Apache-2.0
"""A network on a device: quantise, write, run a pass, read, in real numbers."""

import time

import numpy as np
from numpy.typing import NDArray

from gcnloom.device import Device, RunResult
from gcnloom.graphs.graph import Graph
from gcnloom.layers import Network
from gcnloom.lower.graph import LoweredGraph, lower_graph
from gcnloom.programs.program import Program
from gcnloom.programs.routine import Routine
from gcnloom.training.passes import Passes
from gcnloom.training.scaling import Scales, backward_exponents, forward_exponents
from gcnloom.training.weights import weight_operands
from gcnloom.transport import Judged, Watch
from gcnloom_spec.number import exponent_for, quantise

__all__ = ["Engine"]

Array = NDArray[np.float64]


class Engine(Passes):
    """Every matrix product of a network's passes, on a device.

    Parameters
    ----------
    graph : Graph
    network : Network
    device : Device
        Its memory is cleared.
    seed : int
        First word of the key of every random draw.
    sampled : bool
        Whether the passes of training compute only what the training nodes' loss sees.
    serial : bool
        Whether the device's units take turns, for comparison.
    mixture : bool
        Whether both engines share products of dense features where that is faster.
    descends : bool
        Whether the device can update the weights itself.

    Attributes
    ----------
    graph : LoweredGraph
    lowered : LoweredNetwork
    """

    graph: LoweredGraph

    def __init__(
        self, graph: Graph, network: Network, device: Device, *, seed: int = 0,
        sampled: bool = True, serial: bool = False, mixture: bool = True, descends: bool = False,
    ) -> None:  # fmt: skip
        super().__init__(network, device)
        self.seed = seed
        device.clear()
        self.graph = lower_graph(
            graph, network, device.config, device.memory, sampled=sampled, serial=serial,
            mixture=mixture, descends=descends,
        )  # fmt: skip
        self.lowered = self.graph.lowered
        for address, data in self.lowered.blobs():
            device.write_bytes(address, data)
        self.necessary_macs = self.lowered.necessary_macs
        self.unsampled_macs = self.lowered.unsampled_macs
        self._hidden_exponents: list[int] = []
        self._weight_exponents: list[int] = []

    def restart(self, seed: int) -> None:
        """Forget the scales of earlier steps; draw with another seed."""
        self.seed = seed
        self.scales = {name: Scales(self._width) for name in self.scales}
        self._settled.clear()

    def forward(self, weights: list[Array], *, step: int, training: bool) -> Array:
        """Logits of every node, shape ``(nodes, classes)``.

        In training, hidden layers drop out and stay on the device for :meth:`backward`. The
        weights of later layers carry the dropout's ``1 / kept``, which need be no power of two.
        Where training is sampled, all logits but those of the training nodes are NaN.
        """
        name = "forward" if training else "infer"
        exponents = self._write_weights(weights, training=training)
        scales = self.scales[name]
        scales.begin()
        hidden = forward_exponents(
            scales, self.network, self.graph.features_exponent, self.graph.adjacency_exponent,
            exponents,
        )  # fmt: skip
        self._run(name, step)
        if training:
            self._hidden_exponents, self._weight_exponents = hidden, exponents
        layout = self.lowered.layout("training_logits" if training else "logits")
        logits = np.full((len(self.graph.order), self.network.widths[-1]), np.nan)
        real = np.ldexp(self.device.read(layout).astype(np.float64), hidden[-1])
        logits[self.graph.order[: layout.rows]] = real
        return logits

    def backward(self, gradient: Array, *, step: int) -> list[Array]:
        """Gradients of all weights from the gradient of the logits of the last forward pass.

        It must be zero but for the training nodes where training is sampled.
        """
        layout = self.lowered.layout(f"gradient{self.network.layers}")
        seen = gradient[self.graph.order[: layout.rows]]
        exponent = exponent_for(seen, self._width)
        self.device.write(layout, quantise(seen, exponent, self._width))
        scales = self.scales["backward"]
        scales.begin()
        spread = backward_exponents(
            scales, self.network, exponent, self.graph.adjacency_exponent, self._weight_exponents
        )
        self._run("backward", step)
        gradients = []
        for layer in range(1, self.network.layers + 1):
            sums = self.device.read(self.lowered.layout(f"weight_gradient{layer}"))
            sums = self.lowered.blocks[f"weights{layer}"].collect(sums)
            sums = sums[: self.network.weight_shapes[layer - 1][0]]
            real = np.ldexp(
                sums.astype(np.float64), self._hidden_exponents[layer - 1] + spread[layer]
            )
            gradients.append(real / (self.network.kept if layer > 1 else 1.0))
        return gradients

    def run_routine(
        self, routine: Routine, *, step: int, judged: Judged, watch: Watch
    ) -> RunResult:  # fmt: skip
        """Run a routine of epochs from a step on; counts as many forward and backward passes."""
        self.device.load(routine)
        before = self.device.window.moved
        begin = time.perf_counter()
        result = self.device.run(routine, seed=self.seed, step=step, judged=judged, watch=watch)
        self.seconds += time.perf_counter() - begin
        self.link_bytes += (self.device.window.moved - before).bytes
        self.counters["training"].update(result.counters)
        names = self.network.tensor_names()
        self.saturations += int(result.saturations[list(names)].sum())
        done = result.ended.step - step
        self.runs.update(forward=done, backward=done, training=done)
        return result

    def _run(self, name: str, step: int) -> None:
        scales = self.scales[name]
        program: Program = getattr(self.lowered, name)
        begin = time.perf_counter()
        shifts = self._with_outside(scales.shifts) if name == "forward" else scales.shifts
        result = self.device.run(program.with_shifts(shifts), seed=self.seed, step=step)
        self.seconds += time.perf_counter() - begin
        self.counters[name].update(result.counters)
        self._learn(name, result.envelopes)
        self.clipped[name] = int(result.saturations[list(scales.shifts)].sum())

    def _write_weights(self, weights: list[Array], *, training: bool) -> list[int]:
        kept = self.network.kept if training else 1.0
        operands = weight_operands(self.network, weights, kept, self._width)
        for layer, (mantissas, _) in enumerate(operands, start=1):
            self.write_weights(f"weights{layer}", mantissas)
            if layer > 1 and training:
                turned = self.lowered.blocks[f"weights{layer}"].transposed(mantissas)
                self.write_weights(f"weights{layer}_transposed", turned)
        return [exponent for _, exponent in operands]

    def write_weights(self, name: str, mantissas: NDArray[np.int64]) -> None:
        """Write a tensor's blocks of weights, and zeros around them."""
        layout = self.lowered.layout(name)
        self.device.write(layout, self.lowered.blocks[name].spread(mantissas, layout.rows))
