# SPDX-License-Identifier: Apache-2.0
"""Pulls between cells against resistors and dense algebra, arrangements against all others."""

from itertools import pairwise, permutations, starmap

import numpy as np
import pytest

from gcnloom_fpga.coupling import couplings
from gcnloom_fpga.floorplan import arrange, floorplan
from gcnloom_fpga.part import LFE5U_85F


def cell(kind, *bits):
    return {"type": kind, "connections": {f"P{i}": [bit] for i, bit in enumerate(bits)}}


@pytest.mark.parametrize("registers", [0, 1, 4])
def test_a_chain_of_registers_pulls_like_springs_in_a_row(registers):
    cells = {f"r{i}": cell("TRELLIS_FF", i, i + 1) for i in range(registers)}
    cells |= {"a": cell("DP16KD", 0), "b": cell("MULT18X18D", registers)}
    pulls = couplings(cells, ["a", "b"])
    assert pulls[0, 1] == pytest.approx(1 / (registers + 1), rel=0.01)
    assert pulls[0, 0] == pulls[1, 1] == 0


def test_pulls_are_those_of_dense_elimination():
    rng = np.random.default_rng(3)
    cells = {f"c{i}": cell("LUT4", *map(int, rng.integers(25, size=4))) for i in range(30)}
    kept = ["c4", "c17", "c9"]
    order = [*kept, *(name for name in cells if name not in kept)]
    springs = np.zeros((30, 30))
    for net in range(25):
        on = [i for i, name in enumerate(order) if [net] in cells[name]["connections"].values()]
        for i in on:
            for j in on:
                springs[i, j] += (i != j) / max(1, len(on) - 1)
    laplacian = np.diag(springs.sum(axis=1)) - springs
    inner = laplacian[3:, 3:]
    reduced = laplacian[:3, :3] - laplacian[:3, 3:] @ np.linalg.solve(inner, laplacian[3:, :3])
    expected = -reduced * ~np.eye(3, dtype=bool)
    np.testing.assert_allclose(couplings(cells, kept), expected, rtol=0.02, atol=1e-3)


def test_no_other_arrangement_of_a_few_cells_is_shorter():
    rng = np.random.default_rng(1)
    pulls = rng.uniform(0, 1, (6, 6)).astype(np.float32)
    pulls = np.triu(pulls, 1) + np.triu(pulls, 1).T
    kinds = ["EBR", "DSP", "EBR", "DSP", "EBR", "DSP"]
    places = {kind: rng.integers(0, 40, (4, 2)).astype(np.float32) for kind in ("EBR", "DSP")}

    def length(memories, multipliers):
        at = np.zeros((6, 2))
        at[0::2] = places["EBR"][list(memories)]
        at[1::2] = places["DSP"][list(multipliers)]
        return (pulls * np.abs(at[:, None] - at[None]).sum(axis=2)).sum()

    some = list(permutations(range(4), 3))
    shortest = min(starmap(length, ((one, other) for one in some for other in some)))
    chosen = arrange(pulls, kinds, places, seed=1, moves=20_000)
    assert length(chosen[0::2], chosen[1::2]) == pytest.approx(shortest)


def test_every_cell_gets_a_site_of_its_kind_and_its_own(monkeypatch):
    monkeypatch.setattr("gcnloom_fpga.floorplan.ATTEMPTS", 1)
    cells = {f"m{i}": cell("MULT18X18D", i, i + 1) for i in range(20)}
    cells |= {f"b{i}": cell("DP16KD", i, i + 1) for i in range(20)} | {"ff": cell("TRELLIS_FF", 1)}
    chosen = floorplan(cells, LFE5U_85F, seed=1)
    assert len(set(chosen.values())) == len(chosen) == 40
    assert all(("MULT18" in site) == name.startswith("m") for name, site in chosen.items())


def test_the_shortest_of_several_arrangements_is_taken(monkeypatch):
    lengths = []

    def hasty(pulls, kinds, places, *, seed):
        sites = arrange(pulls, kinds, places, seed=seed, moves=2_000)
        at = [places[kind][site] for kind, site in zip(kinds, sites, strict=True)]
        lengths.append(sum(abs(a - b).sum() for a, b in pairwise(at)))
        return sites

    monkeypatch.setattr("gcnloom_fpga.floorplan.arrange", hasty)
    chain = {f"m{i}": cell("MULT18X18D", i, i + 1) for i in range(20)}
    chosen = floorplan(chain, LFE5U_85F, seed=4)
    sites = {site.name: np.array([site.x, site.y]) for site in LFE5U_85F.sites("DSP")}
    at = [sites[chosen[name]] for name in chain]
    length = sum(abs(a - b).sum() for a, b in pairwise(at))
    assert length == min(lengths) < max(lengths)


def test_more_cells_than_sites_are_refused():
    cells = {f"m{i}": cell("MULT18X18D", i) for i in range(157)}
    with pytest.raises(ValueError, match="157 DSP do not fit: LFE5U-85F-6BG381 has 156"):
        floorplan(cells, LFE5U_85F, seed=1)


def test_the_part_has_as_many_sites_as_its_data_sheet_says():
    for kind in ("EBR", "DSP"):
        names = [site.name for site in LFE5U_85F.sites(kind)]
        assert len(set(names)) == len(names) == LFE5U_85F.available[kind]
