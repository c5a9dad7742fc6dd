# SPDX-License-Identifier: Apache-2.0
"""Configurations: refused with value and remedy, read back, told apart."""

from dataclasses import fields, replace

import pytest

from gcnloom_spec.config import AcceleratorConfig, Packing, named_configs
from gcnloom_spec.items import edge_word, order_word

DEMO = AcceleratorConfig.from_toml("demo")
SPARSE_DEPTHS = ("operand_depth", "accumulator_depth", "edge_depth", "order_depth")
DENSE = dict.fromkeys(("pes", "operand_banks", "master_width", *SPARSE_DEPTHS), 0)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"pes": -1}, "pes=-1 is not a positive integer"),
        ({"pes": False}, "pes=False is not a positive integer"),
        ({"pes": 0}, "operand_depth=4096 is a size of the sparse engine, .* use 0"),
        (DENSE | {"operand_banks": 8}, "operand_banks=8 is a size of the sparse engine, .* use 0"),
        (DENSE | {"master_width": 16}, "master_width=16 trains, .* use master_width=0, or pes of"),
        ({"edge_depth": 0}, "edge_depth=0 is too small; use at least"),
        ({"pes": True}, "pes=True is not a positive integer"),
        ({"pes": 2.0}, r"pes=2\.0 is not a positive integer"),
        ({"operand_width": 3}, r"operand_width=3 is outside 4\.\.16"),
        ({"operand_width": 17}, r"operand_width=17 is outside 4\.\.16"),
        ({"sum_width": 31}, r"sum_width=31 is outside 32\.\.48"),
        ({"memory_bytes": 12}, "memory_bytes=12 is not a power of two"),
        ({"memory_bytes": 4}, "memory_bytes=4 is less than one vector of 8 lanes; use at least 8"),
        ({"rows": 12}, "rows=12 is neither a multiple nor a divisor of lanes=8"),
        ({"columns": 12}, "columns=12 is not a multiple of lanes=8"),
        ({"columns": 8 * 17}, "more than 16 banks of 8 lanes; use more lanes"),
        ({"operand_depth": 65537}, "operand_depth=65537 exceeds 65536"),
        ({"sum_depth": 4}, "sum_depth=4 is too small; use at least 8"),
        ({"master_width": 15}, "master_width=15 is outside 16..32; use 16, or 0"),
        ({"master_width": 33}, "master_width=33 is outside 16..32; use 16, or 0"),
        ({"without_draws": 2}, "without_draws=2 is neither 0 nor 1; use 1"),
        ({"operand_banks": -8}, "operand_banks=-8 is not a positive integer"),
        ({"operand_banks": False}, "operand_banks=False is not a positive integer"),
        ({"operand_banks": 12}, "operand_banks=12 is not a power of two of at least pes=4; use 8"),
        ({"operand_banks": 2}, "operand_banks=2 is not a power of two of at least pes=4; use 8"),
        (
            {"pes": 1, "operand_banks": 2, "memory_bytes": 64},
            "operand_banks=2 is less than the 8 vectors .* in one cycle; use 8",
        ),
        ({"update_lanes": -1}, "update_lanes=-1 is not a positive integer"),
        ({"update_lanes": 3}, "update_lanes=3 is no power .* lanes=8; use one of 1, 2, 4, 8, or 0"),
        ({"update_lanes": 16}, "update_lanes=16 is no power of two that divides lanes=8; use one"),
        ({"update_lanes": 2, "master_width": 0}, "use update_lanes=0, or master_width=16"),
        ({"operand_banks": 8, "operand_depth": 4090}, "operand_depth=4090 is .*banks=8; use 4088"),
    ],
)
def test_wrong_size_is_named_with_its_value_and_the_remedy(change, message):
    with pytest.raises(ValueError, match=message):
        replace(DEMO, **change)


def test_least_depths_are_accepted_and_one_less_is_not():
    depths = {field.name for field in fields(DEMO) if field.name.endswith("_depth")}
    for name in depths - {"command_depth"}:
        with pytest.raises(ValueError, match=f"{name}=1 is too small; use at least") as refused:
            replace(DEMO, **{name: 1})
        least = int(str(refused.value).rpartition(" ")[2])
        assert getattr(replace(DEMO, **{name: least}), name) == least


@pytest.mark.parametrize("name", named_configs())
def test_shipped_configuration_survives_a_file(name, tmp_path):
    config = AcceleratorConfig.from_toml(name)
    path = tmp_path / "copy.toml"
    path.write_text(config.to_toml(), encoding="utf-8")
    again = AcceleratorConfig.from_toml(path)
    assert again == config
    assert again.digest == config.digest


def test_digest_is_stable_and_changes_with_every_field():
    config = AcceleratorConfig(pes=2, lanes=4, rows=4, columns=4)
    # Written down once: a new digest for an old configuration would orphan programs and reports.
    assert config.digest == "51e685ad7d06cda0"
    digests = {config.digest}
    legal = {
        "lanes": 2,
        "sum_width": 40,
        "operand_banks": 4,
        "master_width": 16,
        "epilogue_lanes": 2,
        "without_draws": 1,
    }
    for field in fields(config):
        value = legal.get(field.name, 2 * getattr(config, field.name))
        if field.name != "update_lanes":
            digests.add(replace(config, **{field.name: value}).digest)
    digests.add(replace(config, master_width=16, update_lanes=2).digest)
    assert len(digests) == 1 + len(fields(config))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("pes = 2\nspeed = 3", "unknown field 'speed'; known are pes, lanes"),
        ("pes = 2", "field 'lanes' is missing"),
        ("pes = ", "Invalid value"),
        ("pes = 'two'\nlanes = 4\nrows = 4\ncolumns = 4", "pes='two' is not a positive integer"),
    ],
)
def test_unusable_file_is_named_with_the_reason(text, message, tmp_path):
    path = tmp_path / "bad.toml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(ValueError, match=message) as refused:
        AcceleratorConfig.from_toml(path)
    assert "bad.toml" in str(refused.value)


def test_unknown_name_lists_the_known_and_missing_file_is_named(tmp_path):
    with pytest.raises(ValueError, match=r"unknown configuration 'dmeo'; use .*demo"):
        AcceleratorConfig.from_toml("dmeo")
    with pytest.raises(ValueError, match=r"cannot read configuration .*none\.toml.*No such file"):
        AcceleratorConfig.from_toml(tmp_path / "none.toml")


@pytest.mark.parametrize("memory_bytes", [4, 16, 64])
@pytest.mark.parametrize("raw", [1, 3, 5, 16, 17, 100])
def test_packing_holds_every_item_and_wastes_less_than_it_must(raw, memory_bytes):
    packing = Packing.of(raw, memory_bytes)
    assert packing.item_bytes >= raw
    if raw <= memory_bytes:
        assert packing.words_per_item == 1
        assert packing.items_per_word * packing.item_bytes == memory_bytes
        assert packing.item_bytes < 2 * raw
    else:
        assert packing.items_per_word == 1
        assert packing.item_bytes == packing.words_per_item * memory_bytes < raw + memory_bytes
    for count in (0, 1, 2, 33):
        least = -(-count // packing.items_per_word) * packing.words_per_item
        assert packing.words(count) == least


@pytest.mark.parametrize("name", named_configs())
def test_packed_items_have_room_for_their_words(name):
    config = AcceleratorConfig.from_toml(name)
    assert edge_word(config).width == config.edge_bits
    assert order_word(config).width == config.order_bits <= 8 * config.order.item_bytes
    assert 8 * config.edge_beat.item_bytes >= config.pes * config.edge_bits
