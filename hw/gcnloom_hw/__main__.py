# SPDX-License-Identifier: Apache-2.0
"""``python -m gcnloom_hw CONFIG -o DIR``: write Verilog and a manifest."""

import argparse
import json
import sys
from pathlib import Path

from gcnloom_hw.generate import MEMORIES, NAME, manifest, verilog_text
from gcnloom_spec.config import AcceleratorConfig, named_configs


def byte_address(text: str) -> int:
    """Read a number, in hexadecimal after ``0x``."""
    return int(text, 0)


def main() -> int:
    """Run the generator; return the exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m gcnloom_hw", description="Generate the accelerator's Verilog."
    )
    parser.add_argument("config", help=f"a TOML file, or one of {', '.join(named_configs())}")
    parser.add_argument("-o", "--output", type=Path, required=True, help="folder to write to")
    parser.add_argument(
        "--memory", choices=MEMORIES, default=MEMORIES[0], help="how it reaches its memory"
    )
    parser.add_argument(
        "--base",
        type=byte_address,
        default=0,
        help="byte address of its memory, with --memory axi4",
    )
    arguments = parser.parse_args()
    how = {"memory": arguments.memory, "base": arguments.base}
    try:
        config = AcceleratorConfig.from_toml(arguments.config)
        text, contents = verilog_text(config, **how), manifest(config, **how)
        arguments.output.mkdir(parents=True, exist_ok=True)
    except (ValueError, OSError) as error:
        print(f"gcnloom_hw: error: {error}", file=sys.stderr)
        return 2
    source = arguments.output / f"{NAME}.v"
    source.write_text(text, encoding="utf-8")
    description = arguments.output / "manifest.json"
    description.write_text(json.dumps(contents, indent=2) + "\n", encoding="utf-8")
    print(f"{source}: top module {NAME}, {config.multipliers} multipliers, {config.digest}")
    print(f"{description}: ports, registers, configuration")
    return 0


if __name__ == "__main__":
    sys.exit(main())
