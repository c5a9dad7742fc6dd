# SPDX-License-Identifier: Apache-2.0
"""Legal configurations within given resources, each with the buffers that serve a workload best."""

from bisect import insort
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

from gcnloom_sim.explore.estimate import estimate
from gcnloom_sim.explore.work import Stage
from gcnloom_spec.checks import least_depths
from gcnloom_spec.config import AcceleratorConfig
from gcnloom_spec.ecp5 import PARTS, resources
from gcnloom_spec.memories import buffer_bytes

__all__ = ["DEPTHS", "RUNGS", "Budget", "Candidate", "candidates", "shapes", "with_depths"]

LANES = (1, 2, 4, 8, 16, 32)
RUNGS = tuple(1 << exponent for exponent in range(6, 17))
FILLING = (
    "operand_depth",
    "accumulator_depth",
    "sum_depth",
    "left_depth",
    "right_depth",
    "mask_depth",
    "edge_depth",
)
"""Memories in the order in which they get what is left of the budget."""
DEPTHS = ("order_depth", *FILLING)
"""All of them; that of the edges last."""
ORDER_SLACK = 1.25
"""Drain-order entries for each row: split rows have several."""


@dataclass(frozen=True, kw_only=True)
class Budget:
    """What an accelerator may take.

    Parameters
    ----------
    multipliers : int
    buffer_bytes : int or None
        Of all on-chip memories together.
    part : str or None
        An ECP5 of :data:`~gcnloom_spec.ecp5.PARTS`, none of whose resources may be exceeded.
    port_bytes : int
        Width of the memory port.
    rate : int or None
        Bytes a cycle that the memory moves, reads and writes together; None: a word each way.
    """

    multipliers: int
    buffer_bytes: int | None = None
    part: str | None = None
    port_bytes: int = 32
    rate: int | None = None

    def holds(self, config: AcceleratorConfig) -> bool:
        """Whether a configuration keeps to it."""
        if config.multipliers > self.multipliers or config.memory_bytes > self.port_bytes:
            return False
        if self.buffer_bytes is not None and buffer_bytes(config) > self.buffer_bytes:
            return False
        if self.part is None:
            return True
        there, taken = PARTS[self.part], resources(config)
        return all(taken[name] <= there[name] for name in taken)


@dataclass(frozen=True, kw_only=True)
class Candidate:
    """A configuration and its estimated cycles."""

    config: AcceleratorConfig
    estimate: float


def shapes(multipliers: int, port_bytes: int) -> Iterator[tuple[int, int, int, int]]:
    """PEs, lanes, rows and columns of every way to spend the multipliers.

    The array is at most four times as high as wide or as wide as high, and the sparse engine
    takes what it leaves.
    """
    for lanes in LANES:
        if lanes > port_bytes:
            break
        for columns in range(lanes, multipliers // lanes * lanes + 1, lanes):
            for rows in range(-(-columns // 4), 4 * columns + 1):
                pes = (multipliers - rows * columns) // lanes
                if pes < 1:
                    break
                banks = max(rows // lanes, columns // lanes)
                if (rows % lanes and lanes % rows) or banks > 16:
                    continue
                yield pes, lanes, rows, columns


def candidates(
    stages: tuple[Stage, ...], budget: Budget, top: int | None = None
) -> list[Candidate]:
    """Return a candidate for every shape that fits, or the `top` fastest; the fastest first."""
    found: list[Candidate] = []
    for bound, least in _bounded(stages, budget):
        if top is not None and len(found) >= top and bound >= found[top - 1].estimate:
            break
        candidate = _grown(stages, budget, least)
        if candidate is not None:
            insort(found, candidate, key=lambda each: each.estimate)
    return found[:top]


def _bounded(stages: tuple[Stage, ...], budget: Budget) -> list[tuple[float, AcceleratorConfig]]:
    """Return every shape with its smallest memories, and its cycles if none were too small."""
    bounded = []
    for pes, lanes, rows, columns in shapes(budget.multipliers, budget.port_bytes):
        least = _least(pes, lanes, rows, columns, budget.port_bytes)
        depths = {
            name: max(getattr(least, name), min(needed, RUNGS[-1]))
            for name, needed in _needs(stages, least).items()
        }
        most = replace(least, **depths, order_depth=RUNGS[-1])
        bounded.append((estimate(stages, most, budget.rate), least))
    return sorted(bounded, key=lambda each: each[0])


def _least(pes: int, lanes: int, rows: int, columns: int, port: int) -> AcceleratorConfig:
    """Return the shape with the smallest memories that are worth having."""
    roomy = AcceleratorConfig(
        pes=pes, lanes=lanes, rows=rows, columns=columns, memory_bytes=port,
        **dict.fromkeys(DEPTHS, RUNGS[-1]),
    )  # fmt: skip
    return with_depths(roomy, dict.fromkeys(DEPTHS, RUNGS[0]))


def with_depths(shape: AcceleratorConfig, depths: Mapping[str, int]) -> AcceleratorConfig:
    """Give a shape memories of the depths of :data:`DEPTHS`, or the least that are legal."""
    config = replace(shape, **dict.fromkeys(DEPTHS, RUNGS[-1]))
    # How many edges lie in a word, and with that their least, follows from the other depths.
    for names in (DEPTHS[:-1], DEPTHS[-1:]):
        least = least_depths(config)
        config = replace(config, **{name: max(depths[name], least[name]) for name in names})
    return config


def _grown(
    stages: tuple[Stage, ...], budget: Budget, config: AcceleratorConfig
) -> Candidate | None:
    """Enlarge memories, whichever saves most cycles for its bytes, as far as the budget goes."""
    if not budget.holds(config):
        return None
    cycles = estimate(stages, config, budget.rate)
    while True:
        steps = []
        for larger in _larger(stages, config):
            if not budget.holds(larger):
                continue
            saved = cycles - estimate(stages, larger, budget.rate)
            if saved > 0:
                taken = buffer_bytes(larger) - buffer_bytes(config)
                steps.append((saved / max(1, taken), larger))
        if not steps:
            config = _filled(stages, budget, config)
            return Candidate(config=config, estimate=estimate(stages, config, budget.rate))
        config = max(steps, key=lambda step: step[0])[1]
        cycles = estimate(stages, config, budget.rate)


def _filled(
    stages: tuple[Stage, ...], budget: Budget, config: AcceleratorConfig
) -> AcceleratorConfig:
    """Spend what is left: the estimate does not know everything that a larger memory saves."""
    for name in FILLING:
        fitting = [
            larger
            for larger in _larger(stages, config)
            if getattr(larger, name) > getattr(config, name) and budget.holds(larger)
        ]
        if fitting:
            config = max(fitting, key=lambda larger: int(getattr(larger, name)))
    return config


def _larger(stages: tuple[Stage, ...], config: AcceleratorConfig) -> Iterator[AcceleratorConfig]:
    """Yield the configuration with one memory, or two that go together, enlarged."""
    for name, needed in _needs(stages, config).items():
        depth = getattr(config, name)
        for rung in sorted({*RUNGS, min(needed, RUNGS[-1])}):
            if not depth < rung <= max(needed, depth):
                continue
            changes = {name: rung}
            if name == "accumulator_depth":
                changes["order_depth"] = _order_depth(config, rung)
            if name == "left_depth" and any(p.transposed for stage in stages for p in stage):
                changes["right_depth"] = max(config.right_depth, min(rung, 2048))
            yield replace(config, **changes)


def _order_depth(config: AcceleratorConfig, accumulators: int) -> int:
    entries = int(ORDER_SLACK * config.pes * accumulators)
    return min(RUNGS[-1], max(config.order_depth, 1 << (entries - 1).bit_length()))


def _needs(stages: tuple[Stage, ...], config: AcceleratorConfig) -> dict[str, int]:
    """Depth of each memory beyond which more is of no use."""
    products = [product for stage in stages for product in stage]
    sparse = [product for product in products if product.nonzeros]
    dense = [product for product in products if not product.nonzeros]
    beats = {product.matrix: -(-product.nonzeros // config.pes) for product in sparse}
    whole = _aligned(sum(beats.values()) + 2 * max(beats.values(), default=0), config)
    height = config.left_banks * config.lanes
    return {
        "operand_depth": _aligned(2 * max(product.inner for product in sparse), config),
        "accumulator_depth": _aligned(
            int(ORDER_SLACK * max(product.rows for product in sparse)) // config.pes, config
        ),
        "edge_depth": whole,
        "left_depth": _aligned(
            max((p.rows * -(-p.inner // height) for p in dense), default=1), config
        ),
        "right_depth": _aligned(2 * max((p.inner for p in dense), default=1), config),
        "sum_depth": _aligned(max((p.rows for p in dense), default=1), config),
        "mask_depth": _aligned(2048 if any(p.transposed for p in dense) else 1, config),
    }


def _aligned(depth: int, config: AcceleratorConfig) -> int:
    """Depth rounded up to whole memory words of vectors."""
    items = config.vector.items_per_word
    return -(-max(depth, 2 * items, 64) // items) * items
