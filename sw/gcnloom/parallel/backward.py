# SPDX-License-Identifier: Apache-2.0
"""One worker's part of a backward pass, product by product."""

from collections.abc import Iterable

import numpy as np
from scipy.sparse import csr_array

from gcnloom.lower.builder import Output, Tensor
from gcnloom.lower.dense import padded_inner
from gcnloom.parallel.layers import Forward
from gcnloom.parallel.scheme import Aggregation, Mantissas, Message, Moment, placed_at, wire_type
from gcnloom.parallel.worker import Operator

__all__ = ["Backward"]


class Backward:
    """A backward pass over the rows of a forward pass.

    Parameters
    ----------
    forward : Forward
    kinds : tuple of str
        Classes of messages, of gradients and of weight gradients.
    """

    def __init__(self, forward: Forward, kinds: tuple[str, str]) -> None:
        self._forward, self._site, self._link = forward, forward.site, forward.link
        self._kinds = kinds
        self._spread: dict[int, Tensor] = {}
        self._spreads: dict[int, Aggregation] = {}
        self._weights: dict[int, Operator] = {}
        self._gradients: dict[int, list[Operator]] = {}
        for layer in range(self._site.network.layers, 0, -1):
            self._prepare(layer)

    def run(self, gradient: Mantissas, moment: Moment) -> list[Mantissas]:
        """Weight gradients of all workers, as sums, from this one's rows of the logits' gradient.

        Parameters
        ----------
        gradient : NDArray[np.int64]
            Mantissas, of the worker's rows of the last layer.
        moment : Moment
        """
        worker, communicator = self._link.worker, self._link.communicator
        shifts, step = moment.shifts, moment.step
        widths, kind = self._site.network.widths, wire_type(worker.config.sum_width)
        sums: list[Mantissas] = []
        parts: Iterable[Mantissas] = (
            gradient[rows.start : rows.stop] for rows in self._link.chunks(len(gradient))
        )
        for layer in range(self._site.network.layers, 0, -1):
            spread = self._spreads[layer].run(parts, moment)
            worker.write(self._spread[layer], spread)
            part = worker.run(self._weights[layer], shifts, step)[: widths[layer - 1]]
            whole = communicator.all_reduce(self._kinds[1], part.astype(kind), "sum")
            sums.insert(0, whole.astype(np.int64))
            if layer > 1:
                parts = worker.run_each(self._gradients[layer], shifts, step)
        return sums

    def _prepare(self, layer: int) -> None:
        site, network, worker = self._site, self._site.network, self._link.worker
        rows, columns = self._forward.rows[layer - 1], self._forward.rows[layer]
        own, width = site.own(rows), network.widths[layer]
        name = f"aggregate_gradient{layer}"
        output = Output(
            tensor=Tensor(name=f"spread{layer} sums", rows=rows, features=width),
            identifier=network.identifier(name), stochastic=network.stochastic,
        )  # fmt: skip
        messages = (
            Message(kind=self._kinds[0], tensor=f"gradient{layer}"),
            Message(kind=self._kinds[0], tensor=name),
        )
        self._spreads[layer] = site.scheme.aggregation(
            self._link, *site.adjacency_transposed(rows, columns), output, messages
        )
        self._spread[layer] = worker.place(f"spread{layer}", len(own), width)
        self._weights[layer] = self._weight_gradient(layer)
        if layer > 1:
            inner = network.widths[layer - 1]
            tensor = worker.place(f"gradient{layer - 1}", len(own), inner)
            hidden = self._forward.inputs[layer]
            output = Output(
                tensor=tensor, identifier=network.identifier(f"gradient{layer - 1}"),
                mask=hidden, stochastic=network.stochastic,
            )  # fmt: skip
            output = placed_at(output, tensor, own)
            self._gradients[layer] = [
                worker.dense(self._spread[layer], site.transposed[layer], output, rows=chunk)
                for chunk in self._link.chunks(len(own))
            ]

    def _weight_gradient(self, layer: int) -> Operator:
        """Multiply this worker's rows of a layer's input by those of its gradient."""
        worker, network = self._link.worker, self._site.network
        inner, width = network.widths[layer - 1], network.widths[layer]
        features = self._forward.features
        if layer == 1 and features is not None:
            tensor = worker.place("weight_gradient1", inner, width, kind="sums")
            transposed = csr_array(features.T)
            output = Output(tensor=tensor, raw=True)
            return worker.sparse("features transposed", transposed, self._spread[1], output)
        config = worker.config
        tensor = worker.place(
            f"weight_gradient{layer}", padded_inner(inner, config), width, kind="sums",
            block=config.rows,
        )  # fmt: skip
        left = self._forward.inputs[layer]
        return worker.transposed(left, self._spread[layer], Output(tensor=tensor, raw=True))
