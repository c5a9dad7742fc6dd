# SPDX-License-Identifier: Apache-2.0
"""One worker's part of a forward pass, product by product."""

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from scipy.sparse import csr_array, issparse

from gcnloom.layers import Network
from gcnloom.lower.builder import Output, Tensor
from gcnloom.lower.dense import padded_inner
from gcnloom.lower.graph import OrderedGraph
from gcnloom.parallel.scheme import (
    Aggregation,
    Link,
    Mantissas,
    Message,
    Moment,
    Rows,
    Scheme,
    placed_at,
)
from gcnloom.parallel.worker import Operator

__all__ = ["Forward", "Site"]


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
    product: list[Operator]
    activation: Aggregation


class Forward:
    """A forward pass over the first `rows` of each layer.

    Parameters
    ----------
    site : Site
    link : Link
        How this pass exchanges.
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
        self, site: Site, link: Link, name: str, rows: tuple[int, ...],
        seen: tuple[int, ...] | None, kinds: tuple[str, str],
    ) -> None:  # fmt: skip
        self.site, self.link, self.rows = site, link, rows
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

    def run(self, moment: Moment) -> Mantissas:
        """Return the sums of the logits of this worker's rows."""
        worker = self.link.worker
        for number, layer in enumerate(self._layers, start=1):
            product = worker.run_each(layer.product, moment.shifts, moment.step)
            rows = layer.activation.run(product, moment)
            if number < len(self._layers):
                worker.write(self.inputs[number + 1], rows)
        return rows

    def _product(self, layer: int) -> list[Operator]:
        """Multiply this worker's rows by the weights, chunk by chunk."""
        site, network, worker = self.site, self.site.network, self.link.worker
        own, width = site.own(self.rows[layer - 1]), network.widths[layer]
        name = f"product{layer}"
        place = f"{self._name} {name}"
        whole = Output(
            tensor=Tensor(name=place, rows=len(own), features=width),
            identifier=network.identifier(name),
            counted=self._seen[layer - 1] if self._seen else None,
            outside=network.outside(name),
        )  # fmt: skip
        chunks = self.link.chunks(len(own))
        if self.features is None or layer > 1:
            output = placed_at(whole, worker.place(place, len(own), width), own)
            left, weights = self.inputs[layer], site.weights[layer]
            return [worker.dense(left, weights, output, rows=rows) for rows in chunks]
        operators = []
        for rows in chunks:
            part = f" [{rows.start}:{rows.stop}]"
            tensor = worker.place(f"{place}{part}", len(rows), width)
            output = placed_at(whole, tensor, own[rows.start : rows.stop])
            block = csr_array(self.features[rows.start : rows.stop])
            key = f"{self._name} features{part}"
            operators.append(worker.sparse(key, block, site.weights[1], output))
        return operators

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
        messages = (
            Message(kind=self._kinds[0], tensor=f"product{layer}"),
            Message(kind=self._kinds[1 if last else 0], tensor=name),
        )
        return site.scheme.aggregation(self.link, *site.adjacency(rows, columns), output, messages)
