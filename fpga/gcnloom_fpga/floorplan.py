# SPDX-License-Identifier: Apache-2.0
"""Sites for block RAMs and multipliers, chosen before placement.

nextpnr's placers spread such cells over the die without regard to what they belong to once most
sites are taken, and everything else has to follow: wires are half as long again.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gcnloom_fpga.coupling import couplings
from gcnloom_fpga.part import Part

__all__ = ["SITED", "arrange", "floorplan"]

SITED = {"DP16KD": "EBR", "PDPW16KD": "EBR", "MULT18X18D": "DSP"}
"""Cells that get a site, and of which resource it is."""
ATTEMPTS = 8
"""Arrangements of which the one with the least pull times distance is taken; the worst of eight
may be a tenth longer, with multipliers a hundred columns from their operands."""
MOVES = 700_000
HOT, COLD = 20.0, 0.01
"""First and last temperature, in tiles of a cell's mean pull."""
NEAREST = 0.04
"""Share of the die's width within which the last moves stay."""


def floorplan(cells: Mapping[str, Any], part: Part, *, seed: int) -> dict[str, str]:
    """Choose a site for every block RAM and multiplier of a netlist.

    Parameters
    ----------
    cells : Mapping[str, Any]
        Of a module of yosys' JSON netlist.
    part : Part
    seed : int

    Returns
    -------
    dict[str, str]
        Cell to the name of its site.

    Raises
    ------
    ValueError
        There are more cells than sites.
    """
    sited = [name for name, cell in cells.items() if cell["type"] in SITED]
    if len(sited) < 2:
        return {}
    kinds = [SITED[cells[name]["type"]] for name in sited]
    sites = {kind: part.sites(kind) for kind in sorted(set(kinds))}
    for kind, available in sites.items():
        if kinds.count(kind) > len(available):
            raise ValueError(
                f"{kinds.count(kind)} {kind} do not fit: {part.name} has {len(available)}; "
                "use a smaller configuration"
            )
    places = {
        kind: np.array([(site.x, site.y) for site in available], dtype=np.float32)
        for kind, available in sites.items()
    }
    pulls = couplings(cells, sited)
    arranged = [arrange(pulls, kinds, places, seed=seed + attempt) for attempt in range(ATTEMPTS)]
    chosen = min(arranged, key=lambda sites: _length(pulls, kinds, places, sites))
    return {
        name: sites[kind][site].name for name, kind, site in zip(sited, kinds, chosen, strict=True)
    }


def arrange(
    pulls: NDArray[np.float32],
    kinds: Sequence[str],
    places: Mapping[str, NDArray[np.float32]],
    *,
    seed: int,
    moves: int = MOVES,
) -> list[int]:
    """Give every cell a place of its kind, so that the sum of pull times distance is small.

    Simulated annealing: a move takes a cell to a place of its kind, whose cell, if there is one,
    takes the place left. Distances are the sum of those in x and in y.

    Returns
    -------
    list[int]
        For each cell an index into the places of its kind.
    """
    rng = np.random.default_rng(seed)
    taken = {kind: np.full(len(there), -1) for kind, there in places.items()}
    at = np.zeros(len(kinds), dtype=np.int64)
    for kind, there in places.items():
        members = [cell for cell, of in enumerate(kinds) if of == kind]
        at[members] = rng.permutation(len(there))[: len(members)]
        taken[kind][at[members]] = members
    x, y = (
        np.array([places[kind][site][axis] for kind, site in zip(kinds, at, strict=True)])
        for axis in (0, 1)
    )
    width = max(float(np.ptp(there[:, 0])) for there in places.values()) + 1

    temperature = float(pulls.sum()) / len(kinds) * HOT
    cooling = (COLD / HOT) ** (1 / moves)
    cells, target, luck = rng.integers(len(kinds), size=moves), rng.random(moves), rng.random(moves)
    for move, cell in enumerate(cells):
        temperature *= cooling
        kind = kinds[cell]
        site = int(target[move] * len(places[kind]))
        new_x, new_y = places[kind][site]
        old_x, old_y = x[cell], y[cell]
        if abs(new_x - old_x) > width * max(NEAREST, 1 - 1.3 * move / moves) or site == at[cell]:
            continue
        longer = np.abs(x - new_x) + np.abs(y - new_y) - np.abs(x - old_x) - np.abs(y - old_y)
        other = taken[kind][site]
        if other < 0:
            cost = pulls[cell] @ longer
        else:
            # Those two stay as far apart as they were.
            apart = abs(new_x - old_x) + abs(new_y - old_y)
            cost = (pulls[cell] - pulls[other]) @ longer + 2 * pulls[cell, other] * apart
        if cost <= 0 or luck[move] < np.exp(-cost / temperature):
            taken[kind][site], taken[kind][at[cell]] = cell, other
            x[cell], y[cell] = new_x, new_y
            if other >= 0:
                at[other], x[other], y[other] = at[cell], old_x, old_y
            at[cell] = site
    return [int(site) for site in at]


def _length(
    pulls: NDArray[np.float32],
    kinds: Sequence[str],
    places: Mapping[str, NDArray[np.float32]],
    chosen: Sequence[int],
) -> float:
    """Return the sum of pull times distance."""
    at = np.array([places[kind][site] for kind, site in zip(kinds, chosen, strict=True)])
    return float((pulls * np.abs(at[:, None] - at[None]).sum(axis=2)).sum())
