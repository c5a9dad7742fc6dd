# SPDX-License-Identifier: Apache-2.0
"""Configuration to Verilog and manifest."""

import json
from typing import Any

from amaranth.back import verilog

from gcnloom_hw.memory.axi import Axi4Config
from gcnloom_hw.top import Axi4Top, Top
from gcnloom_spec.config import AcceleratorConfig
from gcnloom_spec.isa import ISA_VERSION
from gcnloom_spec.registers import COUNTER_BASE, COUNTERS, REGISTERS

__all__ = ["MEMORIES", "NAME", "manifest", "top", "verilog_text"]

NAME = "gcnloom"
"""Name of the top Verilog module."""
MEMORIES = ("port", "axi4")
"""How the device memory is reached: by streams of words, or as an AXI4 manager."""


def top(config: AcceleratorConfig, *, memory: str = "port", base: int = 0) -> Top | Axi4Top:
    """Build the accelerator with one of :data:`MEMORIES`, for AXI4 at the byte address `base`."""
    if memory not in MEMORIES:
        raise ValueError(f"unknown memory {memory!r}; use one of {', '.join(MEMORIES)}")
    if memory == "axi4":
        return Axi4Top(config, Axi4Config(memory_bytes=config.memory_bytes, base=base))
    if base:
        raise ValueError(f"base={base:#x} is for axi4; the port's words begin at 0, leave it out")
    return Top(config)


def verilog_text(config: AcceleratorConfig, *, memory: str = "port", base: int = 0) -> str:
    """Verilog of the whole accelerator, top module :data:`NAME`."""
    design = top(config, memory=memory, base=base)
    return str(verilog.convert(design, name=NAME, emit_src=False))


def manifest(config: AcceleratorConfig, *, memory: str = "port", base: int = 0) -> dict[str, Any]:
    """Describe ports, registers and configuration for a user of the Verilog, ready for JSON."""
    ports = {"clk": {"direction": "input", "width": 1}, "rst": {"direction": "input", "width": 1}}
    for name, member in top(config, memory=memory, base=base).signature.members.items():
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
        "memory": {"kind": memory, "base": base},
        "ports": ports,
        "registers": registers,
    }
