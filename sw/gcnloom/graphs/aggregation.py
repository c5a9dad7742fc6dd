# SPDX-License-Identifier: Apache-2.0
"""What a model multiplies a layer's products by along the edges: a norm, a mean or a sum."""

from typing import Any

import numpy as np
from scipy.sparse import csr_array, dia_array

from gcnloom.graphs.graph import edge_sums, gcn_norm
from gcnloom.layers import Network

__all__ = ["aggregation", "mean_norm", "sum_with_own"]


def aggregation(adjacency: csr_array, network: Network) -> csr_array:
    """Matrix that a network's model aggregates with; float64, rows are targets."""
    if network.model == "sage":
        return mean_norm(adjacency)
    if network.model == "gin":
        return sum_with_own(adjacency, network.epsilon)
    return gcn_norm(adjacency)


def mean_norm(adjacency: Any) -> csr_array:
    """Weighted mean over the neighbours a node listens to, zero of none.

    The mean aggregator of Hamilton, Ying and Leskovec, "Inductive representation learning on large
    graphs", 2017, equation 1 of its separate form; no self loops are added.

    Parameters
    ----------
    adjacency : csr_array
        Row is target, column is source. Duplicate edges are added up.

    Returns
    -------
    csr_array
        Float64, each row divided by its sum.

    Examples
    --------
    >>> mean_norm(csr_array(np.array([[0, 1, 1], [2, 0, 0], [0, 0, 0]]))).toarray().tolist()
    [[0.0, 0.5, 0.5], [1.0, 0.0, 0.0], [0.0, 0.0, 0.0]]
    """
    mean = _summed(adjacency)
    total = edge_sums(mean, "leaves no mean")
    scale = np.zeros(len(total))
    np.divide(1.0, total, out=scale, where=total > 0)
    mean.data *= np.repeat(scale, np.diff(mean.indptr))
    mean.sort_indices()
    return mean


def sum_with_own(adjacency: Any, epsilon: float = 0.0) -> csr_array:
    """Sum over the neighbours, and a node's own features ``1 + epsilon`` times.

    The aggregator of Xu, Hu, Leskovec and Jegelka, "How powerful are graph neural networks?", 2019,
    equation 4.1: ``A + (1 + epsilon) I``.

    Parameters
    ----------
    adjacency : csr_array
        Row is target, column is source. Duplicate edges are added up; self loops stay edges.
    epsilon : float

    Returns
    -------
    csr_array
        Float64, indices sorted.

    Examples
    --------
    >>> sum_with_own(csr_array(np.array([[0, 1], [1, 0]])), 0.5).toarray().tolist()
    [[1.5, 1.0], [1.0, 1.5]]
    """
    edges = _summed(adjacency)
    own = np.full((1, edges.shape[0]), 1.0 + epsilon)
    total = csr_array(edges + dia_array((own, [0]), shape=edges.shape))
    total.sort_indices()
    return total


def _summed(adjacency: Any) -> csr_array:
    """Copy in which every edge is there once."""
    edges = csr_array(adjacency, dtype=np.float64, copy=True)
    edges.sum_duplicates()
    return edges
