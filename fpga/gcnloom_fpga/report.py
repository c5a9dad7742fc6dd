# SPDX-License-Identifier: Apache-2.0
"""What a build reports: a JSON document, and a table of it."""

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from gcnloom_fpga.part import Part
from gcnloom_fpga.route import Routed
from gcnloom_fpga.synth import Netlist
from gcnloom_spec.config import AcceleratorConfig
from gcnloom_spec.toolchain import Tool

__all__ = ["report", "table"]


def _tool(tool: Tool) -> str:
    return f"{tool.version} ({tool.origin})"


def report(
    *, config: AcceleratorConfig, part: Part, netlist: Netlist, routed: Routed | None, command: str
) -> dict[str, Any]:
    """Gather a build's results; those of placement and routing if there are any."""
    synthesised = netlist.synthesised
    used = routed.used if routed else synthesised.used
    document: dict[str, Any] = {
        "command": command,
        "part": part.name,
        "config": {"digest": config.digest, "multipliers": config.multipliers} | asdict(config),
        "stage": "routed" if routed else "synthesised",
        "used": {
            name: {
                "used": used[name],
                "available": available,
                "percent": round(100 * used[name] / available, 1),
            }
            for name, available in part.available.items()
        },
        "packed": dict(synthesised.improved),
        "shell": dict(netlist.shell),
        "tools": {"yosys": _tool(synthesised.tool), "synthesis": synthesised.passes},
    }
    if routed:
        document["fmax_mhz"] = round(routed.fmax, 2)
        document["critical_path"] = dict(routed.critical)
        document["tools"]["nextpnr-ecp5"] = _tool(routed.tool)
    return document


def table(document: Mapping[str, Any]) -> str:
    """Lines for the terminal."""
    config = document["config"]
    size = f"configuration {config['digest']}, {config['multipliers']} multipliers"
    lines = [f"{document['part']}, {size}, {document['stage']}"]
    lines += [
        f"  {name:<4}{entry['used']:>7} of {entry['available']:>6}  {entry['percent']:>5} %"
        for name, entry in document["used"].items()
    ]
    if "fmax_mhz" in document:
        lines.append(f"  Fmax {document['fmax_mhz']} MHz")
        path = document["critical_path"]
        if path:
            lines.append(f"  from {path['from']}")
            lines.append(f"  to   {path['to']}: {path['nanoseconds']} ns, {path['parts']}")
    lines += [f"  {name} {version}" for name, version in document["tools"].items()]
    return "\n".join(lines)
