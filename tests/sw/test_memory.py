# SPDX-License-Identifier: Apache-2.0
"""Tensors lie in device memory where the load unit expects them."""

import numpy as np
import pytest

from gcnloom.errors import DataError, MemoryFullError
from gcnloom.tensors.memory import Allocator, TensorLayout
from gcnloom_spec.config import AcceleratorConfig, named_configs


def element_at(layout, data, row, feature):
    """Read one element byte by byte, from the definition of panels and packing."""
    config = layout.config
    panel, lane = divmod(feature, config.lanes)
    packing = layout.packing
    first = row - row % layout.block_rows
    word = layout.panel_address(panel, first) - layout.address
    inside, slot = divmod(row - first, packing.items_per_word)
    word += inside * packing.words_per_item
    start = word * config.memory_bytes + slot * packing.item_bytes + lane * layout.element_bytes
    return int.from_bytes(data[start : start + layout.element_bytes], "little", signed=True)


@pytest.mark.parametrize("name", named_configs())
@pytest.mark.parametrize("kind", ["operand", "sums"])
@pytest.mark.parametrize("block", [None, 1, 4])
def test_every_element_lies_where_panels_and_blocks_put_it(name, kind, block):
    config = AcceleratorConfig.from_toml(name)
    layout = TensorLayout(
        config=config, rows=7, features=2 * config.lanes + 1, kind=kind, address=3, block=block
    )
    half = 1 << (layout.width - 1)
    array = np.random.default_rng(1).integers(-half, half, (layout.rows, layout.features))
    data = layout.pack(array)
    assert len(data) == layout.words * config.memory_bytes
    for row in range(layout.rows):
        for feature in range(layout.features):
            assert element_at(layout, data, row, feature) == array[row, feature]
    assert np.array_equal(layout.unpack(data), array)


def test_unpack_ignores_bits_above_the_width():
    config = AcceleratorConfig.from_toml("short")
    layout = TensorLayout(config=config, rows=1, features=1)
    data = bytes([0xF7]) + bytes(layout.words * config.memory_bytes - 1)
    assert layout.unpack(data).tolist() == [[7]]


def test_a_row_inside_a_word_has_no_address():
    config = AcceleratorConfig(pes=1, lanes=4, rows=4, columns=4, memory_bytes=16)
    layout = TensorLayout(config=config, rows=10, features=4, address=5, block=6)
    assert [layout.panel_address(0, row) for row in (0, 4, 6)] == [5, 6, 7]
    with pytest.raises(DataError, match=r"row 5 starts inside a memory word; try .* 4 rows"):
        layout.panel_address(0, 5)


def test_a_value_that_does_not_fit_is_named():
    config = AcceleratorConfig.from_toml("smallest")
    layout = TensorLayout(config=config, rows=1, features=1)
    with pytest.raises(DataError, match="value 128 does not fit 8 bits"):
        layout.pack(np.array([[128]]))


def test_allocator_says_what_is_needed_and_what_is_free():
    allocator = Allocator(words=10, memory_bytes=16)
    assert allocator.allocate("a", 4) == 0
    assert allocator.allocate("b", 5) == 4
    with pytest.raises(MemoryFullError, match=r"'c' needs 2 words \(32 bytes\), but 1 of 10") as e:
        allocator.allocate("c", 2)
    assert e.value.remedy == "a device with more memory or a smaller graph"
    with pytest.raises(DataError, match="'a' is already allocated"):
        allocator.allocate("a", 1)


def test_the_last_regions_can_be_put_in_another_order():
    allocator = Allocator(words=20, memory_bytes=16)
    for name, words in (("kept", 2), ("a", 4), ("b", 3), ("none", 0)):
        allocator.allocate(name, words)
    allocator.arrange(["b", "none", "a"])
    assert allocator.regions == {
        "kept": range(2), "b": range(2, 5), "none": range(5, 5), "a": range(5, 9)
    }  # fmt: skip
    assert allocator.allocate("c", 1) == 9
    with pytest.raises(DataError, match="2 regions of 5 words are not the last ones"):
        allocator.arrange(["kept", "b"])
