# SPDX-License-Identifier: Apache-2.0
"""AcceleratorConfig: the only source of sizes; validated, read from TOML, digested."""

import hashlib
import json
import tomllib
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from functools import cached_property
from pathlib import Path
from typing import Any

from gcnloom_spec.checks import LOCAL_BITS, check
from gcnloom_spec.packing import Packing
from gcnloom_spec.shipped import config_text, named_configs

__all__ = [
    "LABEL_BYTES",
    "LOCAL_BITS",
    "RECORD_BYTES",
    "AcceleratorConfig",
    "Packing",
    "named_configs",
]

LABEL_BYTES, RECORD_BYTES = 2, 32
VECTOR_GROUP, EDGE_GROUP, ORDER_GROUP = 8, 2, 4
"""Most items that are written on chip in one cycle, if a memory word holds as many."""


@dataclass(frozen=True, kw_only=True)
class AcceleratorConfig:
    """Every size of one accelerator.

    Parameters
    ----------
    pes : int
        Processing elements of the sparse engine (P). 0: there is no such engine, and of the units
        none that aggregates or drains; the depths of its memories are 0.
    lanes : int
        Feature lanes of each, and width of every vector on the fabric (L).
    rows, columns : int
        Systolic array, R by C. R is a multiple or a divisor of `lanes`, C a multiple.
    operand_width : int
        Bits of an operand mantissa, 4 to 16.
    sum_width : int
        Bits of an accumulator, 32 to 48.
    memory_bytes : int
        Bytes of a device-memory word, a power of two.
    operand_depth : int
        Vectors in the sparse engine's operand memory.
    operand_banks : int
        0: each PE holds a copy of the operand memory. Else a power of two, at least `pes`: the
        PEs share one of so many banks, at least those of a load's group of vectors, and no two
        of them read the same bank in one beat.
    accumulator_depth : int
        Output rows each PE accumulates.
    edge_depth : int
        Beats (one edge for each PE) in the edge memory.
    order_depth : int
        Entries of the drain-order memory.
    left_depth, right_depth : int
        Rows in the dense engine's operand memories (R or `lanes` wide; C wide).
    sum_depth : int
        Rows of C sums in the dense engine's accumulator memory.
    mask_depth : int
        Vectors in each epilogue's mask memory.
    fabric_depth : int
        Vectors each fabric FIFO holds.
    command_depth : int
        Commands that wait for tokens in each unit's queue; 1: a register instead of a queue.
    master_width : int
        Bits of a weight and of its momentum as the device updates them, 16 to 32; 0: loss and
        weight step are left to the host.
    update_lanes : int
        Lanes that the update unit works on in a cycle, `lanes` or a power of two that divides it;
        0: all of them.
    epilogue_lanes : int
        Lanes of a vector that an epilogue works on in one cycle, a divisor of `lanes`; 0: all.
    without_draws : int
        1: the epilogues draw no random bytes, so that no emission has dropout or is rounded
        stochastically; 0: each has a generator.
    compact : int
        1: for small parts without LUT memory. One command is fetched at a time and waits for its
        tokens where it was fetched; pipelines stop where others have queues at their ends; there
        are no masks, no repeats and no output-stationary products. Fewer cells, a lower clock
        rate, for accelerators that have no sparse engine and draw nothing.
    """

    pes: int
    lanes: int
    rows: int
    columns: int
    operand_width: int = 8
    sum_width: int = 32
    memory_bytes: int = 16
    operand_depth: int = 2048
    operand_banks: int = 0
    accumulator_depth: int = 512
    edge_depth: int = 2048
    order_depth: int = 2048
    left_depth: int = 1024
    right_depth: int = 1024
    sum_depth: int = 512
    mask_depth: int = 1024
    fabric_depth: int = 16
    command_depth: int = 4
    master_width: int = 0
    update_lanes: int = 0
    epilogue_lanes: int = 0
    without_draws: int = 0
    compact: int = 0

    def __post_init__(self) -> None:
        check(self)

    @property
    def operand_bytes(self) -> int:
        """Bytes of one operand in device memory."""
        return 1 if self.operand_width <= 8 else 2

    @property
    def sum_bytes(self) -> int:
        """Bytes of one raw sum in device memory."""
        return 4 if self.sum_width <= 32 else 8

    @property
    def master_bytes(self) -> int:
        """Bytes of a weight, or of its momentum, that the device updates."""
        return 2 if self.master_width <= 16 else 4

    @property
    def update_width(self) -> int:
        """Lanes of a slice, as much of a vector as the update unit works on in a cycle."""
        return self.update_lanes or self.lanes

    @property
    def update_slices(self) -> int:
        """Slices of a vector."""
        return self.lanes // self.update_width

    @cached_property
    def masters(self) -> Packing:
        """Packing of `lanes` weights and, behind them, their momenta."""
        return Packing.of(2 * self.lanes * self.master_bytes, self.memory_bytes)

    @cached_property
    def label(self) -> Packing:
        """Packing of the rows' labels."""
        return Packing.of(LABEL_BYTES, self.memory_bytes)

    @cached_property
    def record(self) -> Packing:
        """Packing of what losses leave of their passes."""
        return Packing.of(RECORD_BYTES, self.memory_bytes)

    @property
    def epilogue_width(self) -> int:
        """Lanes of the slices that an epilogue cuts vectors into."""
        return self.epilogue_lanes or self.lanes

    @property
    def epilogue_slices(self) -> int:
        """Slices of a vector, and cycles that it takes an epilogue."""
        return self.lanes // self.epilogue_width

    @property
    def left_banks(self) -> int:
        """Vectors side by side in a row of the left memory."""
        return max(1, self.rows // self.lanes)

    @property
    def left_slices(self) -> int:
        """Array-high slices of one vector: 1 unless `rows` is less than `lanes`."""
        return max(1, self.lanes // self.rows)

    @property
    def right_banks(self) -> int:
        """Vectors side by side in a row of the right memory."""
        return self.columns // self.lanes

    @property
    def multipliers(self) -> int:
        """Multipliers of both engines."""
        return self.pes * self.lanes + self.rows * self.columns

    @cached_property
    def vector(self) -> Packing:
        """Packing of vectors of `lanes` operands."""
        return Packing.of(self.lanes * self.operand_bytes, self.memory_bytes)

    @cached_property
    def sums(self) -> Packing:
        """Packing of vectors of `lanes` raw sums."""
        return Packing.of(self.lanes * self.sum_bytes, self.memory_bytes)

    @cached_property
    def vector_group(self) -> int:
        """Vectors that are loaded in one cycle."""
        return min(self.vector.items_per_word, VECTOR_GROUP)

    @property
    def sparse(self) -> bool:
        """Whether there is a sparse engine."""
        return self.pes > 0

    @cached_property
    def edge_group(self) -> int:
        """Beats that are loaded in one cycle."""
        return min(self.edge_beat.items_per_word, EDGE_GROUP)

    @cached_property
    def order_group(self) -> int:
        """Drain-order entries that are loaded in one cycle."""
        # A bank for each takes a block RAM; a word of memory holds far more entries than vectors.
        return min(self.order.items_per_word, ORDER_GROUP, 2 * self.vector_group)

    @property
    def edge_bits(self) -> int:
        """Bits of one edge."""
        return (
            (self.operand_depth - 1).bit_length()
            + (self.accumulator_depth - 1).bit_length()
            + self.operand_width
            + 2
        )

    @cached_property
    def edge_beat(self) -> Packing:
        """Packing of beats: one edge for each PE, bit behind bit, PE 0 in the lowest."""
        return Packing.of(-(-self.pes * self.edge_bits // 8), self.memory_bytes)

    @cached_property
    def plain_beat(self) -> Packing:
        """Packing of beats of edges without their weights."""
        bits = self.pes * (self.edge_bits - self.operand_width)
        return Packing.of(-(-bits // 8), self.memory_bytes)

    @property
    def order_bits(self) -> int:
        """Bits of one drain-order entry."""
        return max(1, (self.pes - 1).bit_length()) + (self.accumulator_depth - 1).bit_length() + 1

    @cached_property
    def order(self) -> Packing:
        """Packing of drain-order entries."""
        return Packing.of(-(-self.order_bits // 8), self.memory_bytes)

    def to_toml(self) -> str:
        """Text that :meth:`from_toml` reads back."""
        return "".join(f"{name} = {value}\n" for name, value in asdict(self).items())

    def to_json(self) -> str:
        """Canonical JSON: sorted keys, every field that is not switched off.

        A field that comes later thus changes no digest of those that do not use it.
        """
        return json.dumps(
            {name: value for name, value in asdict(self).items() if value}, sort_keys=True
        )

    @cached_property
    def digest(self) -> str:
        """Sixteen hexadecimal digits that name this configuration."""
        return hashlib.sha256(self.to_json().encode()).hexdigest()[:16]

    @classmethod
    def from_mapping(cls, values: Mapping[str, Any]) -> "AcceleratorConfig":
        """Build from plain values, naming unknown and missing fields."""
        known = {field.name: field for field in fields(cls)}
        for name in values:
            if name not in known:
                raise ValueError(f"unknown field {name!r}; known are {', '.join(known)}")
        for name in ("pes", "lanes", "rows", "columns"):
            if name not in values:
                raise ValueError(f"field {name!r} is missing")
        return cls(**values)

    @classmethod
    def from_toml(cls, name_or_path: str | Path) -> "AcceleratorConfig":
        """Read a configuration shipped by name (``"demo"``) or a TOML file by path."""
        text = config_text(name_or_path)
        try:
            return cls.from_mapping(tomllib.loads(text))
        except (ValueError, TypeError) as error:
            raise ValueError(f"configuration {str(name_or_path)!r}: {error}") from error
