# SPDX-License-Identifier: Apache-2.0
"""How strongly the cells that can stand in few places pull at each other.

Nets are springs. Of a netlist of springs with tens of thousands of cells only those few are kept;
what the others pass on between them is found by eliminating them, as resistors between two
terminals make one resistor. So a pipeline of ten registers pulls a tenth as much as a wire.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

__all__ = ["couplings"]

WIDEST = 40
"""Pins of the widest net that counts; wider ones pull everything to everything."""
ITERATIONS = 60
"""Of conjugate gradients: cells further apart than so many hops hardly pull at each other."""


def couplings(cells: Mapping[str, Any], kept: Sequence[str]) -> NDArray[np.float32]:
    """Return the symmetric matrix of pulls between the kept cells.

    Parameters
    ----------
    cells : Mapping[str, Any]
        Of a module of yosys' JSON netlist.
    kept : Sequence[str]
        Names of the cells to keep, in the order of rows and columns.
    """
    springs = _springs(cells, kept)
    count = len(kept)
    # A trace of ground keeps cells that touch no counted net from making this singular.
    laplacian = (sparse.diags(np.asarray(springs.sum(axis=1)).ravel() + 1e-4) - springs).tocsr()
    between = laplacian[:count, count:]
    passed_on = _solve(laplacian[count:, count:], (-between.T).toarray())
    pulls = -(laplacian[:count, :count].toarray() + between @ passed_on)
    np.fill_diagonal(pulls, 0)
    symmetric: NDArray[np.float32] = np.maximum((pulls + pulls.T) / 2, 0).astype(np.float32)
    return symmetric


def _springs(cells: Mapping[str, Any], kept: Sequence[str]) -> Any:
    """Pull of every cell at every other by the nets that both are on; kept cells come first."""
    known = set(kept)
    order = [*kept, *(name for name in cells if name not in known)]
    index = {name: number for number, name in enumerate(order)}
    nets: dict[int, set[int]] = defaultdict(set)
    for name, cell in cells.items():
        for bits in cell["connections"].values():
            for bit in bits:
                if isinstance(bit, int):
                    nets[bit].add(index[name])
    rows, columns, weights = [], [], []
    for members in nets.values():
        if 2 <= len(members) <= WIDEST:
            pins = np.fromiter(members, dtype=np.int64)
            here, there = np.nonzero(~np.eye(len(pins), dtype=bool))
            rows.append(pins[here])
            columns.append(pins[there])
            weights.append(np.full(len(here), 1 / (len(pins) - 1), dtype=np.float32))
    if not rows:
        return sparse.csr_matrix((len(order), len(order)), dtype=np.float32)
    entries = np.concatenate(weights), (np.concatenate(rows), np.concatenate(columns))
    return sparse.coo_matrix(entries, shape=(len(order), len(order))).tocsr()


def _solve(matrix: Any, sides: NDArray[np.float32]) -> NDArray[np.float32]:
    """Conjugate gradients, preconditioned by the diagonal, on all right-hand sides at once."""
    matrix = matrix.astype(np.float32)
    scale = (1 / matrix.diagonal())[:, None]
    solution = np.zeros_like(sides, dtype=np.float32)
    residual = sides.astype(np.float32)
    direction = scale * residual
    energy = (residual * direction).sum(axis=0)
    for _ in range(ITERATIONS):
        image = matrix @ direction
        step = energy / np.maximum((direction * image).sum(axis=0), 1e-30)
        solution += step * direction
        residual -= step * image
        scaled = scale * residual
        previous, energy = energy, (residual * scaled).sum(axis=0)
        direction = scaled + (energy / np.maximum(previous, 1e-30)) * direction
    return solution
