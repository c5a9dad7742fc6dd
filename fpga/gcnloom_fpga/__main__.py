# SPDX-License-Identifier: Apache-2.0
"""`python -m gcnloom_fpga synth|place|route CONFIG`: fit an accelerator into an ECP5 and report."""

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path

from gcnloom_fpga.flow.progress import Narrator
from gcnloom_fpga.part import LFE5U_85F
from gcnloom_fpga.paths import Path as SlowPath
from gcnloom_fpga.paths import longest_paths
from gcnloom_fpga.report import report, table
from gcnloom_fpga.route import ROUTERS, place, route
from gcnloom_fpga.synth import synthesise
from gcnloom_hw.top import Top
from gcnloom_spec.config import AcceleratorConfig, named_configs
from gcnloom_spec.toolchain import ToolError

__all__ = ["main"]


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m gcnloom_fpga", description=__doc__)
    stages = parser.add_subparsers(dest="stage", required=True)
    for name, purpose in (
        ("synth", "resources after synthesis"),
        ("place", "the longest paths after placement, as estimated"),
        ("route", "resources and clock rate after placement and routing"),
    ):
        stage = stages.add_parser(name, help=purpose, description=purpose)
        stage.add_argument("config", help=f"a .toml file or one of {', '.join(named_configs())}")
        if name != "place":
            stage.add_argument("-o", "--output", type=Path, help="folder to write report.json to")
        if name != "synth":
            stage.add_argument("--seed", type=int, default=1, help="placer seed (1)")
            stage.add_argument("--freq", type=float, default=100.0, help="target in MHz (100)")
        if name == "place":
            stage.add_argument("--most", type=int, default=10, help="paths to print (10)")
        if name == "route":
            stage.add_argument("--router", choices=ROUTERS, default=ROUTERS[0])
    return parser


def _listing(paths: Sequence[SlowPath]) -> str:
    """Lines for the terminal: a group of paths, then the nets of its slowest with fan-outs."""
    lines = []
    for path in paths:
        lines.append(f"{path.nanoseconds:5.1f} ns  to {path.end}, {path.ends} ends too slow")
        lines += [f"   {time:6.2f}  {name} ({fanout})" for time, name, fanout in path.steps]
    return "\n".join(lines)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; return its exit code."""
    given = sys.argv[1:] if arguments is None else list(arguments)
    options = _parser().parse_args(given)
    part = LFE5U_85F
    try:
        config = AcceleratorConfig.from_toml(options.config)
        narrator = Narrator(sys.stderr)
        try:
            netlist = synthesise(Top(config), part, narrator)
        finally:
            narrator.close()
        if options.stage == "place":
            design = place(netlist, part, seed=options.seed, freq=options.freq)
            print(_listing(longest_paths(design, most=options.most, slow=1000 / options.freq)))
            return 0
        routed = None
        if options.stage == "route":
            routed = route(
                netlist, part, seed=options.seed, freq=options.freq, router=options.router
            )
    except (ToolError, ValueError) as error:
        print(f"gcnloom_fpga: error: {error}", file=sys.stderr)
        return 2
    command = " ".join(["python -m gcnloom_fpga", *given])
    document = report(config=config, part=part, netlist=netlist, routed=routed, command=command)
    print(table(document))
    if options.output:
        options.output.mkdir(parents=True, exist_ok=True)
        text = json.dumps(document, indent=2) + "\n"
        (options.output / "report.json").write_text(text, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
