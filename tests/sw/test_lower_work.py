# SPDX-License-Identifier: Apache-2.0
"""What is said about sums and multiplications agrees with counting them one by one."""

from itertools import pairwise, product

import numpy as np
import pytest
from scipy.sparse import csr_array

from gcnloom.errors import ConfigError
from gcnloom.layers import Network
from gcnloom.lower.work import check_sums, necessary_macs, row_sum_bits
from gcnloom_spec.config import AcceleratorConfig
from gcnloom_spec.number import limits

WIDE = AcceleratorConfig(pes=1, lanes=1, rows=1, columns=1, operand_width=16, memory_bytes=4)
NARROW = AcceleratorConfig(pes=1, lanes=1, rows=1, columns=1, operand_width=12, memory_bytes=4)
ONE_LAYER = Network(widths=(2, 2))


@pytest.mark.parametrize("seed", range(6))
def test_no_operands_make_a_sum_longer_than_said(seed):
    rng = np.random.default_rng(seed)
    matrix = rng.integers(-9, 10, (4, 3)) * (rng.random((4, 3)) < 0.7)
    low, high = limits(4)
    vectors = np.array(list(product(range(low, high + 1), repeat=3)))
    sums = vectors @ matrix.T
    bits = row_sum_bits(matrix, 4)
    assert -(1 << bits - 1) <= sums.min()
    assert sums.max() < 1 << bits - 1
    assert bits == row_sum_bits(csr_array(matrix), 4)
    # And no fewer bits would do for the same magnitudes, all of one sign.
    assert (vectors @ -abs(matrix).T).max() >= 1 << bits - 2


def rows_of(values):
    return csr_array(np.array([values, [0] * len(values)]))


@pytest.mark.parametrize(
    "where", ["adjacency", "transposed adjacency", "features", "transposed features"]
)
def test_sums_that_could_wrap_are_refused_and_the_next_smaller_are_not(where):
    def check(values):
        matrix = rows_of(values)
        matrix = csr_array(matrix.T) if where.startswith("transposed") else matrix
        small = csr_array(np.eye(2, dtype=np.int64))
        pair = (matrix, small) if where.endswith("adjacency") else (small, matrix)
        check_sums(ONE_LAYER, *pair, WIDE)

    check([32768, 32767])
    message = rf"over the {where} could need 33 bits and sum_width is 32; try .*sum_width = 33"
    with pytest.raises(ConfigError, match=message):
        check([32768, 32768])


@pytest.mark.parametrize(
    ("nodes", "widths"), [(512, (2, 2, 2)), (2, (2, 512, 2)), (2, (2, 2, 512))]
)
def test_long_sums_of_hidden_layers_are_refused(nodes, widths):
    # 511 products of -2048 with -2048 are 2**31 - 2**22; one more is 2**31, which wraps.
    def check(nodes, widths):
        adjacency = csr_array((nodes, nodes), dtype=np.int64)
        check_sums(Network(widths=widths), adjacency, csr_array((nodes, 2), dtype=np.int64), NARROW)

    with pytest.raises(ConfigError, match="hidden layers could need 33 bits"):
        check(nodes, widths)
    check(min(nodes, 511), tuple(min(width, 511) for width in widths))


@pytest.mark.parametrize("sparse", [True, False])
@pytest.mark.parametrize("widths", [(4, 2), (4, 3, 2), (4, 3, 5, 2)])
def test_necessary_multiplications_are_those_of_the_textbook(widths, sparse):
    rng = np.random.default_rng(5)
    adjacency = csr_array(rng.integers(0, 2, (6, 6)))
    features = rng.integers(1, 3, (6, 4)) * (rng.random((6, 4)) < (0.5 if sparse else 2))
    # All nodes, and the first so many of the input and of each layer.
    for rows in ([6] * len(widths), [6, 4, 2, 1][: len(widths)]):
        count = {"forward": 0, "backward": 0}
        for layer, (inner, outer) in enumerate(pairwise(widths)):
            above, below = rows[layer], rows[layer + 1]
            entries = np.count_nonzero(features[:above]) if layer == 0 else above * inner
            edges = np.count_nonzero(adjacency.toarray()[:below, :above])
            count["forward"] += entries * outer + edges * outer
            count["backward"] += entries * outer + edges * outer
            count["backward"] += above * inner * outer if layer else 0
        inputs = csr_array(features) if sparse else features
        macs = necessary_macs(Network(widths=widths), adjacency, inputs, rows)
        assert macs == count | {"infer": count["forward"]}
