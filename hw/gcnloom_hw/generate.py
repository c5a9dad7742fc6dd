# SPDX-License-Identifier: Apache-2.0
"""Configuration to Verilog and manifest."""

import json
from typing import Any

from amaranth.back import verilog

from gcnloom_hw.top import Top
from gcnloom_spec.config import AcceleratorConfig
from gcnloom_spec.isa import ISA_VERSION
from gcnloom_spec.registers import COUNTER_BASE, COUNTERS, REGISTERS

__all__ = ["NAME", "manifest", "verilog_text"]

NAME = "gcnloom"
"""Name of the top Verilog module."""


def verilog_text(config: AcceleratorConfig) -> str:
    """Verilog of the whole accelerator, top module :data:`NAME`."""
    return str(verilog.convert(Top(config), name=NAME, emit_src=False))


def manifest(config: AcceleratorConfig) -> dict[str, Any]:
    """Describe ports, registers and configuration for a user of the Verilog, ready for JSON."""
    ports = {"clk": {"direction": "input", "width": 1}, "rst": {"direction": "input", "width": 1}}
    for name, member in Top(config).signature.members.items():
        ports[name] = {
            "direction": "input" if member.flow.name == "In" else "output",
            "width": int(member.shape),
        }
    registers = {
        name: {"address": register.address, "access": register.access, "meaning": register.meaning}
        for name, register in REGISTERS.items()
    }
    for index, (name, meaning) in enumerate(COUNTERS.items()):
        registers[name] = {"address": COUNTER_BASE + index, "access": "read", "meaning": meaning}
    return {
        "top": NAME,
        "isa_version": ISA_VERSION,
        "config_digest": config.digest,
        "config": json.loads(config.to_json()),
        "multipliers": config.multipliers,
        "ports": ports,
        "registers": registers,
    }
