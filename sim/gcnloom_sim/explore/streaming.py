# SPDX-License-Identifier: Apache-2.0
"""Memories of such depths that the products of a pass stream into each other."""

from collections.abc import Iterator
from dataclasses import replace

from gcnloom.lower.buffers import TURNS
from gcnloom.lower.tiling import PARTS
from gcnloom_sim.explore.space import DEPTHS, RUNGS, Budget, Candidate, with_depths
from gcnloom_sim.explore.work import Product, Stage
from gcnloom_spec.config import AcceleratorConfig
from gcnloom_spec.packing import power_of_two

__all__ = ["streaming"]

SPLIT = 1.1
"""Sums of a PE for each row that falls to it: hubs have a part in several, and room is split."""
FIXED = {"edge_depth": 1024, "right_depth": 512}
"""Beats and right vectors that are enough for double buffering."""
COMMANDS = 16
"""Commands of a unit that let it run ahead."""


def streaming(
    stages: tuple[Stage, ...], candidate: Candidate, budget: Budget
) -> Iterator[Candidate]:
    """Yield a candidate's shape with memories that let products stream, as far as they fit.

    The sums of a whole adjacency are on chip twice and those of a dense product's output once;
    of the operand either all or a few parts, in a copy for each PE or in shared banks.
    """
    shape = candidate.config
    products = [product for stage in stages for product in stage]
    nodes = max(product.rows for product in products if product.matrix == "adjacency")
    inputs = max((p.inner for p in products if p.matrix == "features"), default=0)
    least_banks = power_of_two(max(shape.pes, shape.vector_group))
    part = _up(-(-nodes // PARTS), max(shape.vector.items_per_word, least_banks))
    depths = FIXED | _sums(products, shape, nodes, part)
    depths |= {"order_depth": _up(int(1.15 * nodes), 16)}
    depths |= {"left_depth": TURNS * part, "mask_depth": TURNS * part}
    for shared in (False, True):
        for operand in (inputs + nodes + part, inputs + TURNS * part):
            banks = least_banks if shared else 0
            rows = _up(operand, max(16, banks)) * shape.right_banks
            wanted = depths | {"operand_depth": rows}
            if max(wanted[name] for name in DEPTHS) > RUNGS[-1]:
                continue
            roomy = replace(shape, operand_banks=banks, operand_depth=RUNGS[-1])
            config = replace(with_depths(roomy, wanted), command_depth=COMMANDS)
            if budget.holds(config):
                yield Candidate(config=config, estimate=candidate.estimate)
                break


def _sums(
    products: list[Product], shape: AcceleratorConfig, nodes: int, part: int
) -> dict[str, int]:
    """Depths of the memories of both engines' sums."""
    at_once = shape.right_banks * shape.lanes
    slots = int(SPLIT * -(-nodes // shape.pes)) + TURNS
    turns = TURNS * (-(-part // shape.pes) + TURNS)
    # Sums stay for the panels that are still to come of what they are made of.
    kept = [p.width for p in products if not p.nonzeros and not p.transposed and p.inner > at_once]
    groups = max((-(-width // shape.columns) for width in kept), default=0)
    return {
        "accumulator_depth": (2 * slots + turns) * shape.right_banks,
        "sum_depth": max(nodes * groups + part, shape.rows),
    }


def _up(depth: int, unit: int) -> int:
    return -(-depth // unit) * unit
