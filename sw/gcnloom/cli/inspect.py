# SPDX-License-Identifier: Apache-2.0
"""``gcnloom info``, ``gcnloom listing`` and ``gcnloom doctor``."""

import argparse
from dataclasses import asdict
from pathlib import Path
from typing import Any

from gcnloom.cli.options import (
    add_common,
    add_data,
    add_network,
    check_writable,
    load_graph,
    prints,
    write_json,
)
from gcnloom.doctor import checks
from gcnloom.doctor import listing as checks_listing
from gcnloom.errors import ConfigError, ProgramError
from gcnloom.lower.graph import lower_graph
from gcnloom.programs.program import Program
from gcnloom.programs.shares import shares_of
from gcnloom.tensors.memory import ADDRESSABLE, Allocator
from gcnloom.training.options import Options
from gcnloom.training.passes import PASSES
from gcnloom.transport import DEFAULT_CONFIG, configuration
from gcnloom_spec.config import named_configs
from gcnloom_spec.ecp5 import resources
from gcnloom_spec.memories import buffer_bytes, on_chip_memories

__all__ = ["add_commands"]

SHAPE = ("model", "hidden", "layers", "residual", "epsilon", "dropout", "rounding")
"""Options of a training that its programs follow from."""


def add_commands(commands: Any) -> None:
    """Add the commands to the parser's."""
    info = commands.add_parser(
        "info", help="describe a configuration or a graph",
        description="Describe a configuration or a graph; without either, list configurations.",
    )  # fmt: skip
    info.add_argument("--config", metavar="CONFIG", help="a name or a .toml file")
    add_data(info, required=False)
    info.add_argument("--seed", type=int, default=0, metavar="N", help="of generated graphs")
    add_common(info)
    info.set_defaults(run=_info)

    listing = commands.add_parser(
        "listing", help="print a program as assembly",
        description="Print the program of a pass, lowered for a graph, or a saved one.",
    )  # fmt: skip
    listing.add_argument("program", nargs="?", type=Path, help="a file written with --save")
    add_data(listing, required=False)
    listing.add_argument(
        "--config",
        metavar="CONFIG",
        help="lower for this one, default demo; refuse a program of another",
    )
    add_network(listing)
    listing.add_argument("--pass", dest="name", choices=(*PASSES, "descend"), default="forward")
    listing.add_argument("--save", type=Path, metavar="FILE", help="write the program there")
    add_common(listing)
    listing.set_defaults(run=_listing)

    doctor = commands.add_parser(
        "doctor", help="say what is installed and what mends the rest",
        description="Check every package and program that some part of gcnloom needs.",
    )  # fmt: skip
    add_common(doctor)
    doctor.set_defaults(run=_doctor)


def _info(options: argparse.Namespace) -> int:
    document: dict[str, Any] = {}
    if options.config:
        document["configuration"] = _configuration(options.config)
    if options.data:
        document["graph"] = _graph(options)
    if not document:
        document = {
            "configurations": {name: configuration(name).multipliers for name in named_configs()}
        }
    write_json(options, document)
    if prints(options):
        for heading, values in document.items():
            unit = ", by their multipliers" if heading == "configurations" else ""
            print(f"{heading}{unit}")
            for name, value in values.items():
                print(f"  {name:<20} {value}")
    return 0


def _configuration(name: str) -> dict[str, Any]:
    config = configuration(name)
    return {
        "name": name,
        "digest": config.digest,
        "multipliers": f"{config.multipliers} ({config.pes} PEs x {config.lanes} lanes + "
        f"{config.rows} x {config.columns} array)",
        **asdict(config),
        **{f"{memory.name}_bytes": -(-memory.bits // 8) for memory in on_chip_memories(config)},
        "buffer_bytes": buffer_bytes(config),
        **{f"ecp5_{name.lower()}": count for name, count in resources(config).items()},
    }


def _graph(options: argparse.Namespace) -> dict[str, Any]:
    graph = load_graph(options, options.seed)
    degrees = (graph.adjacency != 0).sum(axis=1)
    values = graph.features.nnz if hasattr(graph.features, "nnz") else (graph.features != 0).sum()
    return {
        "name": graph.name,
        "nodes": graph.nodes,
        "edges": int(graph.adjacency.nnz),
        "directed": bool(abs(graph.adjacency - graph.adjacency.T).nnz),
        "isolated": int((degrees == 0).sum()),
        "largest_degree": int(degrees.max()),
        "features": int(graph.features.shape[1]),
        "feature_density": round(int(values) / (graph.nodes * graph.features.shape[1]), 5),
        "classes": graph.classes,
        **{split: len(getattr(graph, split)) for split in ("train", "val", "test")},
    }


def _listing(options: argparse.Namespace) -> int:
    names: dict[int, str] = {}
    shares: dict[str, Any] = {}
    check_writable(options, save=options.save)
    if (options.program is None) == (options.data is None):
        raise ConfigError("listing needs a program file or --data; try --data digits")
    if options.program:
        program = _saved(options)
    else:
        program, names = _lowered(options)
        sizes = configuration(options.config or DEFAULT_CONFIG)
        shares = {"shares": asdict(shares_of(program, sizes))}
    if options.save:
        program.save(options.save)
    document = {
        "commands": len(program),
        "config_digest": program.config_digest,
        "isa_version": program.isa_version,
        "digest": program.digest,
        **shares,
    }
    write_json(options, document)
    if prints(options):
        print(program.listing(names))
    return 0


def _saved(options: argparse.Namespace) -> Program:
    program = Program.load(options.program)
    digest = options.config and configuration(options.config).digest
    if digest and digest != program.config_digest:
        raise ProgramError(
            f"{options.program} is for configuration {program.config_digest}, {options.config} is "
            f"{digest}; try another --config or lower the model again"
        )
    return program


def _lowered(options: argparse.Namespace) -> tuple[Program, dict[int, str]]:
    settings = Options(**{name: getattr(options, name) for name in SHAPE})
    config = configuration(options.config or DEFAULT_CONFIG)
    if options.name == "descend" and not config.master_width:
        raise ConfigError(
            f"configuration {options.config} has no update unit to descend with; "
            "try --pass backward"
        )
    graph = load_graph(options, options.seed)
    network = settings.network(graph.features.shape[1], graph.classes)
    memory = Allocator(ADDRESSABLE, config.memory_bytes)
    lowered = lower_graph(
        graph,
        network,
        config,
        memory,
        sampled=options.sampled,
        serial=options.serial,
        mixture=options.mixture,
        descends=options.name == "descend",
    ).lowered
    program: Program = getattr(lowered, options.name)
    if options.name == "descend":
        return program, network.every_name()
    forward = options.name == "forward"
    return program, network.forward_names() if forward else network.tensor_names()


def _doctor(options: argparse.Namespace) -> int:
    found = checks()
    write_json(options, {"checks": [asdict(check) for check in found]})
    if prints(options):
        print(checks_listing(found))
    return 0 if all(check.ok for check in found) else 1
