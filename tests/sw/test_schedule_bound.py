# SPDX-License-Identifier: Apache-2.0
"""Schedules of real and of large graphs, with both operand feeds: at their bound, in seconds."""

import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from scipy.sparse import csr_array, eye_array

from gcnloom.scheduling.banks import bank_order
from gcnloom.scheduling.schedule import schedule
from gcnloom_spec.config import AcceleratorConfig
from tests.sw.schedules import power_law

CORA = Path(__file__).parents[2] / ".." / "shared" / "datasets" / "cora.npz"


def configured(pes, feed):
    config = AcceleratorConfig.from_toml("demo")
    banks = 2 * pes if feed == "banks" else 0
    return replace(config, pes=pes, operand_banks=banks, order_depth=512 * pes)


@pytest.mark.parametrize(("pes", "feed"), [(8, "copies"), (16, "banks")])
def test_a_million_edges_are_scheduled_in_seconds_close_to_the_bound(pes, feed):
    config = configured(pes, feed)
    rng = np.random.default_rng(0)
    places = power_law(rng, 60_000, 60_000, 1_000_000)
    weight = np.ones(len(places), dtype=np.int64)
    matrix = csr_array((weight, (places[:, 0], places[:, 1])), shape=(60_000, 60_000))
    started = time.process_time()
    plan = schedule(matrix, config, max_rows=512 * pes, max_columns=2048)
    assert time.process_time() - started < 10
    assert plan.length <= 1.005 * plan.lower_bound, plan.report()


def cora(which):
    file = np.load(CORA, allow_pickle=False)
    kind = "adj" if which == "adjacency" else "feat"
    indices, indptr = file[f"{kind}_indices"], file[f"{kind}_indptr"]
    matrix = csr_array((np.ones(len(indices), dtype=np.int64), indices, indptr))
    if which == "adjacency":
        matrix = csr_array(matrix + eye_array(matrix.shape[0], dtype=np.int64))
    if which == "features transposed":
        matrix = csr_array(matrix.T)
    return matrix


@pytest.mark.skipif(not CORA.exists(), reason=f"{CORA} is not here")
@pytest.mark.parametrize("pes", [8, 16])
@pytest.mark.parametrize("feed", ["copies", "banks"])
@pytest.mark.parametrize("which", ["adjacency", "features", "features transposed"])
def test_cora_takes_no_more_beats_than_its_edges_need(which, feed, pes):
    config, matrix = configured(pes, feed), cora(which)
    if feed == "banks":
        matrix = csr_array(matrix[:, bank_order(matrix, config.operand_banks, 4096)])
    plan = schedule(matrix, config, max_rows=4096, max_columns=4096)
    assert len(plan.blocks) == 1
    assert plan.length == plan.lower_bound, plan.report()
    assert plan.length <= 1.002 * matrix.nnz / pes, plan.report()
    assert plan.entries <= 1.05 * matrix.shape[0]
    assert plan.blocks[0].skew <= 0.25 * plan.blocks[0].slots


@pytest.mark.parametrize("pes", [2, 3, 4, 8, 16])
@pytest.mark.parametrize("degree", [1024, 4096])
def test_a_row_by_itself_goes_to_all_elements_alike(pes, degree):
    config = configured(pes, "copies")
    row = csr_array(np.ones((1, degree), dtype=np.int64))
    plan = schedule(row, config, max_rows=1, max_columns=4096)
    assert plan.length == plan.lower_bound, plan.report()
