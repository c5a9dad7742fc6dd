# SPDX-License-Identifier: Apache-2.0
"""Products on the device are SciPy's, to the last bit where the numbers are integers."""

import numpy as np
import pytest
from scipy.sparse import csr_array, random_array

from gcnloom.device import Device
from gcnloom.device import open as open_device
from gcnloom.errors import ConfigError, DataError
from gcnloom.training.options import Options
from gcnloom.training.trainer import Trainer
from gcnloom.training.weights import weights_sha256
from gcnloom_spec.config import AcceleratorConfig
from gcnloom_spec.number import limits
from tests.sw.graphs import block_model

CONFIGS = ("smallest", "odd", "wide", "demo", "banked")
SHAPES = [
    (1, 1, 1),
    (1, 40, 3),
    (40, 1, 1),
    (7, 5, 11),
    # More than the operand, accumulator, left and right memories of the small configurations.
    (130, 700, 5),
    (700, 260, 4),
]
ENOUGH = AcceleratorConfig(pes=1, lanes=1, rows=1, columns=1, operand_width=16, memory_bytes=4)
"""Sixteen-bit operands and 32-bit sums, which two products of extremes fill."""


def integers(rng, shape, config):
    """Any operands but the most negative, which calls for a larger exponent."""
    high = limits(config.operand_width)[1]
    return rng.integers(-high, high + 1, size=shape)


def sparse_integers(rng, rows, columns, config, density=0.05):
    places = random_array((rows, columns), density=density, rng=rng, format="csr")
    places.data = integers(rng, places.nnz, config).astype(np.float64)
    return csr_array(places)


@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("name", CONFIGS)
def test_integer_products_are_exact(name, shape):
    rows, inner, columns = shape
    rng = np.random.default_rng(sum(shape))
    with open_device(f"model:{name}", memory_megabytes=16) as device:
        free = device.memory.free
        sparse = sparse_integers(rng, rows, inner, device.config)
        dense = integers(rng, (inner, columns), device.config)
        assert np.array_equal(device.spmm(sparse, dense), sparse.astype(np.int64) @ dense)
        left = integers(rng, (rows, inner), device.config)
        assert np.array_equal(device.gemm(left, dense), left @ dense)
        assert device.memory.free == free


@pytest.mark.parametrize(
    "sparse",
    [
        csr_array((6, 4)),
        csr_array(np.diag([0.0, 0, 5, 0])),
        csr_array(np.outer([0, 0, 1, 0, 0], [3, -4, 5, 6])),
        csr_array((np.zeros(2), ([0, 1], [1, 2])), shape=(2, 4)),
    ],
    ids=["nothing", "empty rows", "one full row", "stored zeros"],
)
def test_sparse_matrices_with_nothing_in_most_rows_are_multiplied(sparse):
    dense = np.arange(12).reshape(4, 3) - 6
    with open_device("model:odd", memory_megabytes=1) as device:
        assert np.array_equal(device.spmm(sparse, dense), sparse @ dense)


def test_real_matrices_are_rounded_to_operands_and_multiplied_exactly():
    rng = np.random.default_rng(8)
    left, right = rng.normal(0, 1e-3, (20, 30)), rng.normal(0, 1e5, (30, 4))
    with open_device("model:odd", memory_megabytes=1) as device:
        there = device.gemm(left, right)
    rounded = [
        np.rint(matrix / step) * step
        for matrix in (left, right)
        for step in [2.0 ** (np.ceil(np.log2(abs(matrix).max())) - 7)]
    ]
    assert np.array_equal(there, rounded[0] @ rounded[1])
    assert np.abs(there - left @ right).max() < 0.05 * np.abs(left @ right).max()


def test_lists_and_other_sparse_formats_are_taken_and_left_as_they_are():
    left, right = [[1, 2], [3, 4]], [[5], [6]]
    with open_device("model:odd", memory_megabytes=1) as device:
        assert device.gemm(left, right).tolist() == [[17], [39]]
        sparse = csr_array(np.array(left)).tocoo()
        assert device.spmm(sparse, right).tolist() == [[17], [39]]
        assert device.spmm(sparse.T, right).tolist() == [[23], [34]]
    assert (left, right) == ([[1, 2], [3, 4]], [[5], [6]])


@pytest.mark.parametrize(
    ("left", "right"),
    [
        (np.ones((2, 3)), np.ones((2, 3))),
        (np.ones((2, 3)), np.ones(3)),
        (np.ones(3), np.ones((3, 1))),
        (np.ones((0, 3)), np.ones((3, 1))),
        (np.ones((2, 0)), np.ones((0, 1))),
        (np.ones((2, 3)), np.ones((3, 0))),
        (np.ones((2, 2, 2)), np.ones((2, 2))),
        (3.0, np.ones((2, 2))),
    ],
    ids=str,
)
def test_shapes_that_cannot_be_multiplied_are_named(left, right):
    with open_device("model:odd", memory_megabytes=1) as device:
        with pytest.raises(DataError, match=r"cannot be multiplied; try"):
            device.gemm(left, right)
        if np.ndim(left) in (1, 2):
            with pytest.raises(DataError, match=r"cannot be multiplied; try"):
                device.spmm(csr_array(left), right)


def test_values_that_are_not_finite_are_counted():
    bad = np.array([[1.0, np.nan], [np.inf, 0.0]])
    with open_device("model:odd", memory_megabytes=1) as device:
        with pytest.raises(DataError, match="left has 2 values that are not finite"):
            device.gemm(bad, np.ones((2, 1)))
        with pytest.raises(DataError, match="sparse has 2 values that are not finite"):
            device.spmm(csr_array(bad), np.ones((2, 1)))
        with pytest.raises(DataError, match="dense has 2 values that are not finite"):
            device.spmm(csr_array(np.ones((1, 2))), bad)


def test_a_sum_that_just_fits_is_exact_and_one_that_could_wrap_is_refused():
    worst = np.array([[-32768.0], [-32768.0], [-32768.0], [-32768.0]])
    fits = np.array([[-32767.0, -32767.0, -1.0, 0.0]])
    with open_device("model", ENOUGH, memory_megabytes=1) as device:
        product = device.gemm(fits, worst).item(), device.spmm(csr_array(fits), worst).item()
        assert product == (32768.0 * 65535,) * 2
        for wraps in (fits - [[0, 0, 0, 1]], fits - [[0, 0, 1, 0]]):
            for multiply in (device.gemm, lambda left, right: device.spmm(csr_array(left), right)):
                with pytest.raises(ConfigError, match=r"need 33 bits .* try .* sum_width = 33"):
                    multiply(wraps, worst)


def test_a_product_too_large_for_the_memory_is_streamed_and_leaves_no_trace():
    rng = np.random.default_rng(8)
    left, right = rng.integers(-9, 10, (2000, 600)), rng.integers(-9, 10, (600, 2))
    with open_device("model:odd", memory_megabytes=1) as device:
        free = device.memory.free
        assert np.array_equal(device.gemm(left, right), left @ right)
        assert device.window.streaming
        assert device.memory.free == free
        assert device.gemm([[2]], [[3]]).item() == 6


def test_a_training_does_not_notice_products_in_between():
    def train(interlude):
        with open_device("model:odd", memory_megabytes=4) as device:
            options = Options(hidden=4, epochs=3)
            trainer = Trainer(block_model(), options, device)
            trainer.run(lambda _: interlude(device))
            return weights_sha256(trainer.weights)

    large = np.arange(90 * 50).reshape(90, 50) % 100

    def multiply(device):
        assert np.array_equal(device.gemm(large, large.T), large @ large.T)
        assert np.array_equal(device.spmm(csr_array(large), large.T), large @ large.T)

    assert train(multiply) == train(lambda _: None)


def test_an_interrupted_load_is_not_taken_for_the_program_before(monkeypatch):
    def interrupt(*_):
        raise KeyboardInterrupt

    left = np.arange(6).reshape(2, 3)
    with open_device("model:odd", memory_megabytes=1) as device:
        trainer = Trainer(block_model(), Options(hidden=4, epochs=1), device)
        program = trainer.engine.lowered.infer
        address = device.load(program)
        there = device.read_bytes(address, 4)
        device.write_bytes(address, bytes(len(there)))
        with monkeypatch.context() as patch:
            patch.setattr(device._transport, "write", interrupt)
            with pytest.raises(KeyboardInterrupt):
                device.load(trainer.engine.lowered.backward)
        assert device.load(program) == address
        assert device.read_bytes(address, 4) == there
        assert isinstance(device, Device)
        assert np.array_equal(device.gemm(left, left.T), left @ left.T)
