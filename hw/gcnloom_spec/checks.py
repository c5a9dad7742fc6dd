# SPDX-License-Identifier: Apache-2.0
"""Which sizes an accelerator can have; errors say what would do."""

from dataclasses import fields
from math import gcd, lcm
from typing import TYPE_CHECKING

from gcnloom_spec.packing import power_of_two

if TYPE_CHECKING:
    from gcnloom_spec.config import AcceleratorConfig

__all__ = ["LOCAL_BITS", "check", "least_depths"]

LOCAL_BITS = 16
"""Bits of an on-chip address."""
SPARSE_DEPTHS = ("operand_depth", "accumulator_depth", "edge_depth", "order_depth")
MOST_COMPACT_BYTES = 32
SWITCHES = ("without_draws", "compact")
SWITCHED_OFF_BY_ZERO = (
    "pes", *SPARSE_DEPTHS, "mask_depth", "operand_banks", "master_width", "update_lanes",
    "epilogue_lanes", *SWITCHES,
)  # fmt: skip


def check(config: "AcceleratorConfig") -> None:
    """Raise ValueError if a size is none, or sizes do not fit each other."""
    for field in fields(config):
        value = getattr(config, field.name)
        zero = field.name in SWITCHED_OFF_BY_ZERO and value == 0
        if type(value) is not int or (value < 1 and not zero):
            raise ValueError(f"{field.name}={value!r} is not a positive integer")
    for name in SWITCHES:
        if getattr(config, name) > 1:
            raise ValueError(f"{name}={getattr(config, name)} is neither 0 nor 1; use 1")
    if config.lanes % config.epilogue_width:
        raise ValueError(
            f"epilogue_lanes={config.epilogue_lanes} is no divisor of lanes={config.lanes}; "
            f"use {gcd(config.epilogue_lanes, config.lanes)}, or 0 for all of them"
        )
    _check_sparse(config)
    _check_compact(config)
    _check_widths(config)
    _check_banks(config)
    _check_update(config)
    _check_array(config)
    _check_depths(config)


def _check_sparse(config: "AcceleratorConfig") -> None:
    if config.sparse:
        return
    for name in (*SPARSE_DEPTHS, "operand_banks"):
        if getattr(config, name):
            raise ValueError(
                f"{name}={getattr(config, name)} is a size of the sparse engine, which pes=0 "
                "leaves out; use 0"
            )
    if config.master_width:
        raise ValueError(
            f"master_width={config.master_width} trains, which takes a sparse engine; "
            "use master_width=0, or pes of at least 1"
        )


def _check_compact(config: "AcceleratorConfig") -> None:
    if not config.compact:
        return
    if config.sparse:
        raise ValueError(
            f"pes={config.pes} is a size of the sparse engine, which compact=1 leaves out; use 0"
        )
    if config.sum_width != 32:
        raise ValueError(f"sum_width={config.sum_width} is not what compact=1 adds up; use 32")
    for name in ("mask_depth", "epilogue_lanes"):
        if getattr(config, name):
            raise ValueError(
                f"{name}={getattr(config, name)} is a size that compact=1 leaves out; use 0"
            )
    if not config.without_draws:
        raise ValueError("without_draws=0 is of no use with compact=1, which draws nothing; use 1")
    if config.memory_bytes > MOST_COMPACT_BYTES:
        raise ValueError(
            f"memory_bytes={config.memory_bytes} is more than a command, which compact=1 fetches "
            f"word by word; use at most {MOST_COMPACT_BYTES}"
        )


def _check_banks(config: "AcceleratorConfig") -> None:
    if not config.operand_banks:
        return
    if config.operand_banks & (config.operand_banks - 1) or config.operand_banks < config.pes:
        raise ValueError(
            f"operand_banks={config.operand_banks} is not a power of two of at least "
            f"pes={config.pes}; use {power_of_two(2 * config.pes)}, or 0 for a copy in each PE"
        )
    if config.operand_banks < config.vector_group:
        raise ValueError(
            f"operand_banks={config.operand_banks} is less than the {config.vector_group} vectors "
            f"that are loaded in one cycle; use {config.vector_group}"
        )
    if config.operand_depth % config.operand_banks:
        raise ValueError(
            f"operand_depth={config.operand_depth} is not a multiple of "
            f"operand_banks={config.operand_banks}; "
            f"use {config.operand_depth // config.operand_banks * config.operand_banks}"
        )


def _check_widths(config: "AcceleratorConfig") -> None:
    if not 4 <= config.operand_width <= 16:
        raise ValueError(f"operand_width={config.operand_width} is outside 4..16")
    if not 32 <= config.sum_width <= 48:
        raise ValueError(f"sum_width={config.sum_width} is outside 32..48")
    if config.master_width and not 16 <= config.master_width <= 32:
        raise ValueError(f"master_width={config.master_width} is outside 16..32; use 16, or 0")
    if config.memory_bytes & (config.memory_bytes - 1) or not 4 <= config.memory_bytes <= 256:
        raise ValueError(f"memory_bytes={config.memory_bytes} is not a power of two in 4..256")
    if config.vector.words_per_item > 1:
        raise ValueError(
            f"memory_bytes={config.memory_bytes} is less than one vector of {config.lanes} lanes; "
            f"use at least {power_of_two(config.lanes * config.operand_bytes)}"
        )


def _check_update(config: "AcceleratorConfig") -> None:
    if not config.update_lanes:
        return
    if not config.master_width:
        raise ValueError(
            f"update_lanes={config.update_lanes} is for an update unit, which master_width=0 "
            "leaves out; use update_lanes=0, or master_width=16"
        )
    if config.update_lanes == config.lanes:
        return
    if config.lanes % config.update_lanes or config.update_lanes & (config.update_lanes - 1):
        most = config.lanes & -config.lanes
        choices = ", ".join(str(1 << bit) for bit in range(most.bit_length()))
        raise ValueError(
            f"update_lanes={config.update_lanes} is no power of two that divides "
            f"lanes={config.lanes}; use one of {choices}, or 0 for all of them"
        )


def _check_array(config: "AcceleratorConfig") -> None:
    if config.rows % config.lanes and config.lanes % config.rows:
        raise ValueError(
            f"rows={config.rows} is neither a multiple nor a divisor of lanes={config.lanes}"
        )
    if config.columns % config.lanes:
        raise ValueError(f"columns={config.columns} is not a multiple of lanes={config.lanes}")
    if max(config.left_banks, config.right_banks) > 16:
        raise ValueError(
            f"a {config.rows}x{config.columns} array is more than 16 banks of {config.lanes} "
            "lanes; use more lanes"
        )


def _check_depths(config: "AcceleratorConfig") -> None:
    for field in fields(config):
        if field.name.endswith("_depth") and getattr(config, field.name) > 1 << LOCAL_BITS:
            raise ValueError(
                f"{field.name}={getattr(config, field.name)} exceeds {1 << LOCAL_BITS}"
            )
    for name, minimum in least_depths(config).items():
        if getattr(config, name) < minimum:
            raise ValueError(f"{name}={getattr(config, name)} is too small; use at least {minimum}")


def least_depths(config: "AcceleratorConfig") -> dict[str, int]:
    """Return the least depth of each memory, by field, which follows from the other fields."""
    unit, panels = config.vector.items_per_word, config.right_banks
    # Rows leave in whole memory words; as many panels as the array is wide are multiplied at once.
    least = {
        "left_depth": 2 * unit,
        "right_depth": max(2 * config.rows, 2 * unit, lcm(config.rows, unit)),
        "mask_depth": 2 * unit,
        "sum_depth": max(config.rows, unit),
        "fabric_depth": 4,
    }
    if not config.sparse:
        return least | {"mask_depth": 0} if config.compact else least
    return least | {
        "operand_depth": 2 * panels * max(unit, config.operand_banks),
        "order_depth": 2 * max(unit, config.order_group),
        "accumulator_depth": max(2, unit, 2 * panels * -(-unit // config.pes)),
        "edge_depth": 2 * config.plain_beat.items_per_word,
    }
