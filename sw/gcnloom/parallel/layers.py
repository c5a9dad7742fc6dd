# SPDX-License-Identifier: Apache-2.0
"""One worker's part of a forward and of a backward pass, product by product."""

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from scipy.sparse import csr_array, issparse

from gcnloom.layers import Network
from gcnloom.lower.builder import Output, Tensor
from gcnloom.lower.dense import padded_inner
from gcnloom.lower.graph import OrderedGraph
from gcnloom.parallel.scheme import Aggregation, Link, Mantissas, Rows, Scheme, placed_at, wire_type
from gcnloom.parallel.worker import Operator

__all__ = ["Backward", "Forward", "Site"]

Shifts = dict[int, int]


class Site:
    """What all passes of a worker share: its graph, its weights, its part in the work.

    Parameters
    ----------
    network : Network
    graph : OrderedGraph
    link : Link
    scheme : Scheme

    Attributes
    ----------
    weights, transposed : dict[int, Tensor]
        By layer; the latter of all but the first.
    """

    def __init__(self, network: Network, graph: OrderedGraph, link: Link, scheme: Scheme) -> None:
        self.network, self.graph, self.link, self.scheme = network, graph, link, scheme
        self.sparse_input = issparse(graph.features)
        transposed = csr_array(graph.adjacency.T)
        self._symmetric = not abs(graph.adjacency - transposed).nnz
        self._transposed = transposed
        worker, config = link.worker, link.worker.config
        self.weights: dict[int, Tensor] = {}
        self.transposed: dict[int, Tensor] = {}
        for layer, (inner, outer) in enumerate(pairwise(network.widths), start=1):
            sparse = layer == 1 and self.sparse_input
            rows = inner if sparse else padded_inner(inner, config)
            self.weights[layer] = worker.place(f"weights{layer}", rows, outer)
            if layer > 1:
                rows = padded_inner(outer, config)
                self.transposed[layer] = worker.place(f"weights{layer}_transposed", rows, inner)

    def own(self, nodes: int) -> Rows:
        """Rows of the first `nodes` that this worker owns."""
        return self.scheme.rows(nodes)[self.link.rank]

    def adjacency(self, rows: int, columns: int) -> tuple[str, csr_array]:
        """First rows and columns of the adjacency, with a key."""
        return f"adjacency[:{rows}, :{columns}]", csr_array(self.graph.adjacency[:rows, :columns])

    def adjacency_transposed(self, rows: int, columns: int) -> tuple[str, csr_array]:
        """First rows and columns of its transpose."""
        if self._symmetric:
            return self.adjacency(rows, columns)
        return f"transposed[:{rows}, :{columns}]", csr_array(self._transposed[:rows, :columns])

    def write_weights(self, operands: list[tuple[Mantissas, int]], *, training: bool) -> None:
        """Write all weights; training takes the transposed ones, too."""
        worker = self.link.worker
        for layer, (mantissas, _) in enumerate(operands, start=1):
            worker.write(self.weights[layer], mantissas)
            if layer > 1 and training:
                worker.write(self.transposed[layer], mantissas.T)


@dataclass(frozen=True, kw_only=True, eq=False)
class _Layer:
    product: Operator
    activation: Aggregation


class Forward:
    """A forward pass over the first `rows` of each layer.

    Parameters
    ----------
    site : Site
    name : str
        Of its tensors.
    rows : tuple of int
    seen : tuple of int or None
        In training, how many rows the loss sees: the rest leaves no trace in the statistics.
    kinds : tuple of str
        Classes of messages, of activations and of logits.

    Attributes
    ----------
    rows : tuple of int
    inputs : dict[int, Tensor]
        This worker's rows of each layer's input; without the first, if that is sparse.
    features : csr_array or None
        Its rows of sparse features.
    """

    def __init__(
        self, site: Site, name: str, rows: tuple[int, ...], seen: tuple[int, ...] | None,
        kinds: tuple[str, str],
    ) -> None:  # fmt: skip
        self.site, self.rows = site, rows
        self._name, self._seen, self._kinds = name, seen, kinds
        self.inputs: dict[int, Tensor] = {}
        own = site.graph.features[site.own(rows[0])]
        self.features = csr_array(own) if site.sparse_input else None
        for layer, features in enumerate(site.network.widths[:-1], start=1):
            if layer > 1 or not site.sparse_input:
                count = len(site.own(rows[layer - 1]))
                self.inputs[layer] = site.link.worker.place(
                    f"{name} hidden{layer - 1}", count, features
                )
        if not site.sparse_input:
            site.link.worker.write(self.inputs[1], np.asarray(own, dtype=np.int64))
        layers = range(1, site.network.layers + 1)
        self._layers = [
            _Layer(product=self._product(layer), activation=self._activation(layer))
            for layer in layers
        ]

    def run(self, shifts: Shifts, step: int) -> Mantissas:
        """Return the sums of the logits of this worker's rows."""
        worker = self.site.link.worker
        for number, layer in enumerate(self._layers, start=1):
            product = worker.run(layer.product, shifts, step)
            rows = layer.activation.run(product, shifts, step)
            if number < len(self._layers):
                worker.write(self.inputs[number + 1], rows)
        return rows

    def _product(self, layer: int) -> Operator:
        """Multiply this worker's rows by the weights."""
        site, network, worker = self.site, self.site.network, self.site.link.worker
        own = site.own(self.rows[layer - 1])
        name = f"product{layer}"
        tensor = worker.place(f"{self._name} {name}", len(own), network.widths[layer])
        output = placed_at(
            Output(
                tensor=tensor, identifier=network.identifier(name),
                counted=self._seen[layer - 1] if self._seen else None,
                outside=network.outside(name),
            ), tensor, own,
        )  # fmt: skip
        if self.features is not None and layer == 1:
            key = f"{self._name} features"
            return worker.sparse(key, self.features, site.weights[1], output)
        return worker.dense(self.inputs[layer], site.weights[layer], output)

    def _activation(self, layer: int) -> Aggregation:
        """Aggregate; all workers have a part in it."""
        site, network = self.site, self.site.network
        rows, columns = self.rows[layer], self.rows[layer - 1]
        last = layer == network.layers
        name = "logits" if last else f"hidden{layer}"
        whole = Tensor(name=f"{self._name} sums{layer}", rows=rows, features=network.widths[layer])
        output = Output(tensor=whole, raw=True)
        if not last:
            output = Output(
                tensor=whole, identifier=network.identifier(name), relu=True,
                dropout=network.threshold if self._seen else 0,
                counted=self._seen[layer] if self._seen else None,
                outside=network.outside(name),
            )  # fmt: skip
        kinds = self._kinds[0], self._kinds[1 if last else 0]
        return site.scheme.aggregation(site.link, *site.adjacency(rows, columns), output, kinds)


class Backward:
    """A backward pass over the rows of a forward pass.

    Parameters
    ----------
    forward : Forward
    kinds : tuple of str
        Classes of messages, of gradients and of weight gradients.
    """

    def __init__(self, forward: Forward, kinds: tuple[str, str]) -> None:
        self._forward, self._site, self._kinds = forward, forward.site, kinds
        self._spread: dict[int, Tensor] = {}
        self._spreads: dict[int, Aggregation] = {}
        self._weights: dict[int, Operator] = {}
        self._gradients: dict[int, Operator] = {}
        for layer in range(self._site.network.layers, 0, -1):
            self._prepare(layer)

    def run(self, gradient: Mantissas, shifts: Shifts, step: int) -> list[Mantissas]:
        """Weight gradients of all workers, as sums, from this one's rows of the logits' gradient.

        Parameters
        ----------
        gradient : NDArray[np.int64]
            Mantissas, of the worker's rows of the last layer.
        shifts : dict[int, int]
        step : int
        """
        worker, communicator = self._site.link.worker, self._site.link.communicator
        widths, kind = self._site.network.widths, wire_type(worker.config.sum_width)
        sums: list[Mantissas] = []
        for layer in range(self._site.network.layers, 0, -1):
            spread = self._spreads[layer].run(gradient, shifts, step)
            worker.write(self._spread[layer], spread)
            part = worker.run(self._weights[layer], shifts, step)[: widths[layer - 1]]
            whole = communicator.all_reduce(self._kinds[1], part.astype(kind), "sum")
            sums.insert(0, whole.astype(np.int64))
            if layer > 1:
                gradient = worker.run(self._gradients[layer], shifts, step)
        return sums

    def _prepare(self, layer: int) -> None:
        site, network, worker = self._site, self._site.network, self._site.link.worker
        rows, columns = self._forward.rows[layer - 1], self._forward.rows[layer]
        own, width = site.own(rows), network.widths[layer]
        name = f"aggregate_gradient{layer}"
        output = Output(
            tensor=Tensor(name=f"spread{layer} sums", rows=rows, features=width),
            identifier=network.identifier(name), stochastic=network.stochastic,
        )  # fmt: skip
        self._spreads[layer] = site.scheme.aggregation(
            site.link, *site.adjacency_transposed(rows, columns), output,
            (self._kinds[0], self._kinds[0]),
        )  # fmt: skip
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
            self._gradients[layer] = worker.dense(
                self._spread[layer], site.transposed[layer], output
            )

    def _weight_gradient(self, layer: int) -> Operator:
        """Multiply this worker's rows of a layer's input by those of its gradient."""
        worker, network = self._site.link.worker, self._site.network
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
