# SPDX-License-Identifier: Apache-2.0
"""Options that several commands share, and opening the device they name."""

import argparse
import json
import os
import sys
from pathlib import Path
from typing import Any

from gcnloom.cli.progress import Progress
from gcnloom.device import Device, open
from gcnloom.errors import ConfigError
from gcnloom.graphs import datasets
from gcnloom.graphs.graph import Graph
from gcnloom.layers import MODELS
from gcnloom.training.options import ROUNDINGS, Options
from gcnloom.transport import configuration, configuration_name

__all__ = [
    "DEFAULTS",
    "INTERRUPTED",
    "add_common",
    "add_data",
    "add_device",
    "add_model",
    "add_network",
    "add_numbers",
    "add_serial",
    "check_writable",
    "load_graph",
    "open_device",
    "prints",
    "write_json",
]

DEFAULTS = Options()
INTERRUPTED = 130
"""Exit code after Ctrl-C."""


def add_common(parser: argparse.ArgumentParser) -> None:
    """Add what every command has."""
    parser.add_argument("--json", metavar="FILE", help="also write the result there; - is stdout")
    volume = parser.add_mutually_exclusive_group()
    volume.add_argument("-v", "--verbose", action="store_true", help="a line an epoch; tracebacks")
    volume.add_argument("-q", "--quiet", action="store_true", help="print errors only")


def add_data(parser: argparse.ArgumentParser, *, required: bool = True) -> None:
    """Add the graph."""
    parser.add_argument(
        "--data",
        required=required,
        metavar="GRAPH",
        help="digits, sbm:NODES,CLASSES, community:NODES,DEGREE,FEATURES,CLASSES, "
        "rmat:SCALE,DEGREE or FILE.npz",
    )
    parser.add_argument(
        "--row-normalise", action="store_true", help="divide each node's features by their sum"
    )


def add_device(parser: argparse.ArgumentParser) -> None:
    """Add the executor."""
    parser.add_argument(
        "--device", default="rtl", metavar="NAME",
        help="rtl (Verilated gateware), model (bit-exact NumPy) or serial://PORT (a board); "
        "default rtl",
    )  # fmt: skip
    parser.add_argument(
        "--config", metavar="CONFIG",
        help="configuration: a name, see `gcnloom info`, or a .toml file; default demo, or that of "
        "the board",
    )  # fmt: skip
    parser.add_argument(
        "--memory", metavar="MODEL",
        help="how long the memory of a simulated device takes: ideal, BYTES a cycle, either with "
        "/LATENCY, sdram16 or ddr3-16; +128K behind it: so much in block RAM; default ideal",
    )  # fmt: skip
    parser.add_argument(
        "--memory-megabytes", type=int, metavar="N",
        help="size of a simulated device's memory in MiB, through which more is streamed; "
        "default 64",
    )  # fmt: skip


def add_network(parser: argparse.ArgumentParser) -> None:
    """Add the network's shape and its draws."""
    add_model(parser)
    add_numbers(
        parser,
        hidden="features of hidden layers",
        layers="graph convolutions",
        seed="seed of splits, first weights and device draws",
        dropout="probability of dropping a hidden element",
    )
    parser.add_argument(
        "--rounding", default=DEFAULTS.rounding, choices=ROUNDINGS,
        help=f"of gradients on the device; default {DEFAULTS.rounding}",
    )  # fmt: skip
    parser.add_argument(
        "--sampled", action=argparse.BooleanOptionalAction, default=DEFAULTS.sampled,
        help="whether training computes only what the loss sees, to the same bits; default yes",
    )  # fmt: skip
    parser.add_argument(
        "--mixture", action=argparse.BooleanOptionalAction, default=DEFAULTS.mixture,
        help="whether the sparse engine shares products of dense features, to the same bits; "
        "default yes",
    )  # fmt: skip
    add_serial(parser)


def add_model(parser: argparse.ArgumentParser) -> None:
    """Add what a layer does."""
    parser.add_argument(
        "--model", default=DEFAULTS.model, choices=MODELS,
        help="graph convolution: gcn, GraphSAGE with the mean aggregator, or the graph "
        f"isomorphism network with a perceptron of two layers; default {DEFAULTS.model}",
    )  # fmt: skip
    parser.add_argument(
        "--residual", action="store_true",
        help="hidden layers add their input; of gcn and sage, from three layers on",
    )  # fmt: skip
    add_numbers(parser, epsilon="what gin adds to the weight of a node's own features, which is 1")


def add_serial(parser: argparse.ArgumentParser) -> None:
    """Add the switch that has the device's units take turns."""
    parser.add_argument(
        "--serial", action="store_true",
        help="let the device's units take turns, to the same bits, for comparison",
    )  # fmt: skip


def add_numbers(parser: argparse.ArgumentParser, **meanings: str) -> None:
    """Add options of a training that are numbers, by their names, with their defaults."""
    for name, meaning in meanings.items():
        default = getattr(DEFAULTS, name)
        parser.add_argument(
            f"--{name.replace('_', '-')}",
            type=type(default),
            default=default,
            metavar="N" if isinstance(default, int) else "X",
            help=f"{meaning}; default {default:g}",
        )


def load_graph(options: argparse.Namespace, seed: int) -> Graph:
    """Load the graph that the options name."""
    return datasets.load(options.data, seed=seed, row_normalise=options.row_normalise)


def open_device(options: argparse.Namespace, progress: Progress) -> Device:
    """Open the device that the options name."""
    size = options.memory_megabytes
    if size is not None and not 1 <= size <= 1 << 16:
        raise ConfigError(f"--memory-megabytes {size} is outside 1..65536 MiB; try 64")
    # A device that has no clock, or a memory of its own, need not know the options.
    given = {"memory": options.memory, "memory_megabytes": size}
    config = None if options.config is None else configuration(options.config)
    device = open(
        options.device, config, progress=progress.stage,
        **{name: value for name, value in given.items() if value is not None},
    )  # fmt: skip
    options.config = options.config or configuration_name(device.config)
    return device


def check_writable(options: argparse.Namespace, **paths: Path | None) -> None:
    """Raise :class:`ConfigError` before any work if a file could not be written after it.

    `paths` are by option; that of ``--json`` is always among them.
    """
    if options.json and options.json != "-":
        paths["json"] = Path(options.json)
    for option, path in paths.items():
        reason = path and _obstacle(path)
        if reason:
            raise ConfigError(f"cannot write {path} ({reason}); try another --{option} path")


def _obstacle(path: Path) -> str | None:
    """Say what keeps a file from being written; folders that are missing can be made."""
    try:
        if path.is_dir():
            return "it is a folder"
        there = path.absolute()
        while not there.exists():
            there = there.parent
    except (OSError, ValueError) as error:
        return getattr(error, "strerror", None) or str(error)
    if there.is_file() and there != path.absolute():
        return f"{there} is no folder"
    return None if os.access(there, os.W_OK) else f"{there} is not writable"


def prints(options: argparse.Namespace) -> bool:
    """Whether a result is to be printed: not if quiet, nor where JSON goes to the same place."""
    return not options.quiet and options.json != "-"


def write_json(options: argparse.Namespace, document: dict[str, Any]) -> None:
    """Write a result where ``--json`` says."""
    if not options.json:
        return
    text = json.dumps(document, indent=2) + "\n"
    if options.json == "-":
        sys.stdout.write(text)
        return
    try:
        Path(options.json).parent.mkdir(parents=True, exist_ok=True)
        Path(options.json).write_text(text, encoding="utf-8")
    except OSError as error:
        raise ConfigError(
            f"cannot write {options.json} ({error.strerror}); try another --json path"
        ) from error
