# SPDX-License-Identifier: Apache-2.0
"""A network on a device: quantise, write, run a pass, read, in real numbers."""

import time
from collections import Counter

import numpy as np
from numpy.typing import NDArray

from gcnloom.device import Device, RunResult
from gcnloom.graphs.graph import Graph
from gcnloom.layers import Network
from gcnloom.lower.graph import lower_graph
from gcnloom.programs.program import Program
from gcnloom.programs.routine import Routine
from gcnloom.training.scaling import Scales
from gcnloom.transport import Judged, Watch
from gcnloom_spec.number import exponent_for, quantise

__all__ = ["Engine"]

Array = NDArray[np.float64]
PASSES = ("forward", "infer", "backward")
MOST_REPEATS = 10
"""Runs of a pass until its shifts fit its own results; two are the rule."""


class Engine:
    """Every matrix product of a GCN's passes, on a device.

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
    counters : dict[str, Counter[str]]
        Sum of the device's counters, by pass; ``"training"``: of whole runs.
    runs : Counter[str]
        How often each pass ran.
    clipped : dict[str, int]
        Clipped results of the last run of each pass.
    seconds : float
        Time the device took for all runs.
    link_bytes : int
        What host and device memory exchanged while routines ran.
    saturations : int
        Results that routines clipped.
    """

    def __init__(
        self, graph: Graph, network: Network, device: Device, *, seed: int = 0,
        sampled: bool = True, serial: bool = False, mixture: bool = True, descends: bool = False,
    ) -> None:  # fmt: skip
        self.network = network
        self.device = device
        self.seed = seed
        self._width = device.config.operand_width
        device.clear()
        self.graph = lower_graph(
            graph, network, device.config, device.memory, sampled=sampled, serial=serial,
            mixture=mixture, descends=descends,
        )  # fmt: skip
        self.lowered = self.graph.lowered
        for address, data in self.lowered.blobs():
            device.write_bytes(address, data)
        self.scales = {name: Scales(self._width) for name in PASSES}
        self.counters: dict[str, Counter[str]] = {name: Counter() for name in (*PASSES, "training")}
        self.runs: Counter[str] = Counter()
        self.clipped = dict.fromkeys(PASSES, 0)
        self.seconds = 0.0
        self.link_bytes = 0
        self.saturations = 0
        self._settled: set[str] = set()
        self._hidden_exponents: list[int] = []
        self._weight_exponents: list[int] = []

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
        hidden = [self.graph.features_exponent]
        for layer, exponent in enumerate(exponents, start=1):
            product = scales.through(
                self.network.identifier(f"product{layer}"), hidden[-1] + exponent
            )
            sums = product + self.graph.adjacency_exponent
            if layer < self.network.layers:
                sums = scales.through(self.network.identifier(f"hidden{layer}"), sums)
            hidden.append(sums)
        self._run(name, step)
        if training:
            self._hidden_exponents, self._weight_exponents = hidden, exponents
        layout = self.lowered.layout("training_logits" if training else "logits")
        logits = np.full((len(self.graph.order), self.network.widths[-1]), np.nan)
        real = np.ldexp(self.device.read(layout).astype(np.float64), hidden[-1])
        logits[self.graph.order[: layout.rows]] = real
        return logits

    def logits(self, weights: list[Array]) -> Array:
        """Logits without dropout, at shifts that fit them."""
        for _ in range(MOST_REPEATS):
            logits = self.forward(weights, step=0, training=False)
            if self.settled("infer"):
                break
        return logits

    def backward(self, gradient: Array, *, step: int) -> list[Array]:
        """Gradients of all weights from the gradient of the logits of the last forward pass.

        It must be zero but for the training nodes where training is sampled.
        """
        last = self.network.layers
        layout = self.lowered.layout(f"gradient{last}")
        seen = gradient[self.graph.order[: layout.rows]]
        exponent = exponent_for(seen, self._width)
        self.device.write(layout, quantise(seen, exponent, self._width))
        scales = self.scales["backward"]
        scales.begin()
        spread = {}
        for layer in range(last, 0, -1):
            name = f"aggregate_gradient{layer}"
            spread[layer] = scales.through(
                self.network.identifier(name), exponent + self.graph.adjacency_exponent
            )
            if layer > 1:
                exponent = scales.through(
                    self.network.identifier(f"gradient{layer - 1}"),
                    spread[layer] + self._weight_exponents[layer - 1],
                )
        self._run("backward", step)
        gradients = []
        for layer in range(1, last + 1):
            sums = self.device.read(self.lowered.layout(f"weight_gradient{layer}"))
            inner = self.network.widths[layer - 1]
            real = np.ldexp(
                sums[:inner].astype(np.float64), self._hidden_exponents[layer - 1] + spread[layer]
            )
            gradients.append(real / self._kept(layer, training=True))
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

    def settled(self, name: str) -> bool:
        """Whether the last run of a pass used the shifts that its own results call for."""
        return name in self._settled

    def _run(self, name: str, step: int) -> None:
        scales = self.scales[name]
        program: Program = getattr(self.lowered, name)
        begin = time.perf_counter()
        shifts = self._with_outside(scales.shifts) if name == "forward" else scales.shifts
        result = self.device.run(program.with_shifts(shifts), seed=self.seed, step=step)
        self.seconds += time.perf_counter() - begin
        self._settled.discard(name)
        if not scales.measured(result.envelopes):
            self._settled.add(name)
        self.counters[name].update(result.counters)
        self.runs[name] += 1
        self.clipped[name] = int(result.saturations[list(scales.shifts)].sum())

    def _with_outside(self, shifts: dict[int, int]) -> dict[int, int]:
        """Shifts of a forward pass, with those of the rows that the loss does not see."""
        names = self.network.tensor_names()
        outside = {self.network.outside(names[key]): shift for key, shift in shifts.items()}
        return shifts | outside

    def _write_weights(self, weights: list[Array], *, training: bool) -> list[int]:
        exponents = []
        for layer, array in enumerate(weights, start=1):
            scaled = array / self._kept(layer, training=training)
            exponent = exponent_for(scaled, self._width)
            mantissas = quantise(scaled, exponent, self._width)
            self.write_padded(f"weights{layer}", mantissas)
            if layer > 1 and training:
                self.write_padded(f"weights{layer}_transposed", mantissas.T)
            exponents.append(exponent)
        return exponents

    def write_padded(self, name: str, mantissas: NDArray[np.int64]) -> None:
        """Write a tensor whose padding is zero."""
        layout = self.lowered.layout(name)
        padded = np.zeros((layout.rows, layout.features), dtype=np.int64)
        padded[: mantissas.shape[0]] = mantissas
        self.device.write(layout, padded)

    def _kept(self, layer: int, *, training: bool) -> float:
        return self.network.kept if training and layer > 1 else 1.0
