# SPDX-License-Identifier: Apache-2.0
"""report.json of a board's build, and the table that is printed of it."""

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from gcnloom_fpga.board import Board
from gcnloom_fpga.clocks.plan import ClockPlan
from gcnloom_fpga.families.all import FAMILIES
from gcnloom_fpga.flow.routing import Routed
from gcnloom_fpga.flow.synthesis import Synthesised
from gcnloom_spec.config import AcceleratorConfig
from gcnloom_spec.toolchain import Tool

__all__ = ["document", "shortcomings", "table"]

NAMES = {"LUT": "look-up tables", "FF": "flip-flops", "EBR": "block RAMs", "DSP": "multipliers"}


def document(
    *,
    board: Board,
    config: AcceleratorConfig,
    plan: ClockPlan,
    synthesised: Synthesised,
    routed: Sequence[Routed],
    command: str,
) -> dict[str, Any]:
    """Gather a build's results; those of the best seed where there are several."""
    best = max(routed, key=lambda each: each.fmax, default=None)
    used = best.used if best else synthesised.used
    result: dict[str, Any] = {
        "board": board.name,
        "title": board.title,
        "part": board.part.name,
        "memory": board.memory,
        "command": command,
        "config": {"digest": config.digest, "multipliers": config.multipliers} | asdict(config),
        "clock": asdict(plan),
        "stage": "packed" if best else "synthesised",
        "used": {
            name: {
                "used": used.get(name, 0), "available": available,
                "percent": round(100 * used.get(name, 0) / available, 1) if available else 0.0,
            }
            for name, available in board.part.available.items()
        },
        "budget": dict(board.budget),
        "improved": dict(synthesised.improved),
        "tools": {"yosys": _tool(synthesised.tool), "synthesis": synthesised.passes},
    }  # fmt: skip
    if best:
        family = FAMILIES[board.part.family]
        rates = [each.fmax for each in routed]
        result["tools"][family.nextpnr.name] = _tool(best.tool)
        result["tools"][family.packer.name] = _tool(best.packer)
        result["seeds"] = [
            {"seed": each.seed, "fmax_mhz": round(each.fmax, 2), "seconds": each.seconds}
            for each in routed
        ]
        result["fmax_mhz"] = {
            "min": round(min(rates), 2),
            "median": round(statistics.median(rates), 2),
            "max": round(max(rates), 2),
        }
        result["critical_path"] = {"seed": best.seed} | dict(best.critical)
        result["bitstream"] = {
            "name": best.product.name, "bytes": best.product.stat().st_size, "seed": best.seed,
        }  # fmt: skip
    return result


def _tool(tool: Tool) -> str:
    return f"{tool.version} ({tool.origin})"


def shortcomings(result: Mapping[str, Any]) -> str | None:
    """Say in one sentence what is over budget or too slow, with numbers and a hint."""
    over = [
        f"{entry['used']} of {entry['available']} {NAMES.get(name, name)} "
        f"({entry['percent']} %, the budget is {result['budget'][name]:g})"
        for name, entry in result["used"].items()
        if entry["used"] > entry["available"] * result["budget"][name] / 100
    ]
    if over:
        return (
            f"{result['board']} is over budget: {', '.join(over)}; "
            "try a smaller configuration with --config"
        )
    clock = result["clock"]["hertz"] / 1e6
    if "fmax_mhz" in result and result["fmax_mhz"]["max"] < clock:
        reached = result["fmax_mhz"]["max"]
        seeds = "seed" if len(result["seeds"]) == 1 else "seeds"
        return (
            f"{result['board']} reaches {reached:g} MHz with {len(result['seeds'])} {seeds}, "
            f"less than its clock of {clock:.6g}; "
            f"try --sys-clk-freq {int(reached)}e6, or --seeds 5"
        )
    return None


def table(result: Mapping[str, Any]) -> str:
    """Lines for the terminal."""
    config, clock = result["config"], result["clock"]
    lines = [
        f"{result['title']} ({result['part']}), {result['memory']}, {result['stage']}",
        f"  configuration {config['digest']}, {config['multipliers']} multipliers",
        f"  {clock['hertz'] / 1e6:.6g} MHz from {clock['source'] / 1e6:.6g}",
    ]
    lines += [
        f"  {name:<6}{entry['used']:>7} of {entry['available']:>6}  {entry['percent']:>5} %"
        for name, entry in result["used"].items()
        if entry["available"]
    ]
    if "fmax_mhz" in result:
        rates = result["fmax_mhz"]
        each = ", ".join(f"{one['fmax_mhz']:g} (seed {one['seed']})" for one in result["seeds"])
        lines.append(f"  Fmax {each} MHz; median {rates['median']:g}")
        path = result["critical_path"]
        if "from" in path:
            lines.append(f"  from {path['from']}")
            parts = ", ".join(f"{part} {time:g}" for part, time in path["parts"].items())
            lines.append(f"  to   {path['to']}: {path['nanoseconds']} ns ({parts})")
        stream = result["bitstream"]
        lines.append(f"  {stream['name']}, {stream['bytes']} bytes, of seed {stream['seed']}")
    # Of products that go to look-up tables each is named; the report's file has them all.
    commands = [step for step in result["tools"]["synthesis"].split("; ") if "chtype" not in step]
    tools = result["tools"] | {"synthesis": "; ".join(commands)}
    lines += [f"  {name} {version}" for name, version in tools.items()]
    return "\n".join(lines)
