# SPDX-License-Identifier: Apache-2.0
"""``gcnloom infer``."""

import argparse
import sys
from pathlib import Path
from typing import Any

import numpy as np

from gcnloom.cli.options import (
    DEFAULTS,
    add_common,
    add_data,
    add_device,
    add_model,
    add_serial,
    check_writable,
    load_graph,
    open_device,
    prints,
    write_json,
)
from gcnloom.cli.progress import Progress
from gcnloom.errors import ConfigError
from gcnloom.training.checkpoint import load_checkpoint
from gcnloom.training.inference import Inference
from gcnloom.training.loss import accuracy
from gcnloom.training.weights import load_weights

__all__ = ["add_commands"]

MODEL = {name: getattr(DEFAULTS, name) for name in ("model", "residual", "epsilon")}
"""What the shapes of weights do not say, with its defaults."""


def add_commands(commands: Any) -> None:
    """Add the command to the parser's."""
    parser = commands.add_parser(
        "infer", help="classify nodes with a trained network",
        description="Classify every node of a graph with trained weights.",
    )  # fmt: skip
    source = parser.add_mutually_exclusive_group(required=True)
    source.add_argument("--checkpoint", type=Path, metavar="FILE")
    source.add_argument(
        "--weights", type=Path, metavar="FILE", help="weights1, weights2... of an .npz file"
    )
    add_data(parser)
    add_device(parser)
    add_model(parser)
    add_serial(parser)
    parser.add_argument("--output", type=Path, metavar="FILE", help="write node,class lines there")
    add_common(parser)
    parser.set_defaults(run=_run)


def _run(options: argparse.Namespace) -> int:
    check_writable(options, output=options.output)
    model = {name: getattr(options, name) for name in MODEL}
    if options.weights:
        weights, seed = load_weights(options.weights), 0
    else:
        for name, value in model.items():
            if value != MODEL[name]:
                raise ConfigError(f"--{name} is for --weights, a checkpoint says it; leave it out")
        checkpoint = load_checkpoint(options.checkpoint)
        trained = checkpoint.meta["options"]
        weights, seed = checkpoint.group("model"), trained["seed"]
        model = {name: trained.get(name, default) for name, default in MODEL.items()}
    progress = Progress(sys.stderr, quiet=options.quiet, verbose=options.verbose)
    graph = load_graph(options, seed)
    with open_device(options, progress) as device:
        progress.stage("inferring")
        inference = Inference(graph, weights, device, serial=options.serial, **model)
        logits = inference.logits()
        cycles = inference.cycles
        if device.window.streaming:
            progress.streams(device.window, device.window.moved, "in all")
    progress.close()
    classes = logits.argmax(axis=1)
    document = {
        "data": graph.name,
        "nodes": graph.nodes,
        "device": options.device,
        "config": options.config,
        "memory": options.memory,
        "accuracy": {
            split: accuracy(logits, graph.labels, getattr(graph, split))
            for split in ("train", "val", "test")
        },
        "cycles": cycles or None,
        "classes": classes.tolist(),
    }
    write_json(options, document)
    if options.output:
        _write_classes(options.output, classes)
    if prints(options):
        known = {split: value for split, value in document["accuracy"].items() if value is not None}
        parts = [f"{split} {100 * value:.1f} %" for split, value in known.items()]
        print(f"{graph.nodes:,} nodes; accuracy {', '.join(parts) or 'unknown'}")
        if cycles:
            print(f"{cycles:,} cycles a pass")
    return 0


def _write_classes(path: Path, classes: Any) -> None:
    table = np.stack([np.arange(len(classes)), classes], axis=1)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        np.savetxt(path, table, fmt="%d", delimiter=",", header="node,class", comments="")
    except OSError as error:
        raise ConfigError(
            f"cannot write {path} ({error.strerror}); try another --output path"
        ) from error
