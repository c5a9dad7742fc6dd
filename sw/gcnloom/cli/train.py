# SPDX-License-Identifier: Apache-2.0
"""``gcnloom train``."""

import argparse
import sys
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any

from gcnloom.cli.options import (
    DEFAULTS,
    INTERRUPTED,
    add_common,
    add_data,
    add_device,
    add_network,
    add_numbers,
    check_writable,
    load_graph,
    open_device,
    prints,
    write_json,
)
from gcnloom.cli.parallel import (
    add_parallel,
    check_rounds,
    pipeline_of,
    shown_epochs,
    speaks,
    train_parallel,
)
from gcnloom.cli.progress import Progress
from gcnloom.cli.report import report
from gcnloom.cli.sampling import sampling_of
from gcnloom.cli.start import Start, interrupted
from gcnloom.errors import CheckpointError, ConfigError
from gcnloom.parallel.rounds import GIST
from gcnloom.training.baseline import logistic_regression
from gcnloom.training.checkpoint import load_checkpoint, save_checkpoint
from gcnloom.training.device_trainer import trainer_for
from gcnloom.training.epoch import Epoch
from gcnloom.training.options import OPTIMISERS, UPDATES, Options
from gcnloom.training.result import result
from gcnloom.training.trainer import Trainer
from gcnloom.training.weights import load_weights

__all__ = ["SINGLE", "add_commands", "settings_of"]

SINGLE = "single"
SETTLED = 3
"""Epoch whose bytes are told: the first ones repeat passes, and the graph is sent."""
PLAIN = str.maketrans(":/", "--")
EXAMPLE = """examples:
  gcnloom train --data digits --epochs 100
  gcnloom train --data sbm:2000,4 --device model --dropout 0.5 --json result.json
  gcnloom train --data digits --model sage --layers 3 --residual
  gcnloom train --data digits --epochs 200 --resume       continue gcnloom-digits.npz
  gcnloom train --data digits --parallel mop --workers 4  on four devices
  mpiexec -n 4 gcnloom train --data digits --parallel mop
  gcnloom train --data digits --hidden 64 --parallel gist --workers 4 --local-iterations 10"""


def add_commands(commands: Any) -> None:
    """Add the command to the parser's."""
    parser = commands.add_parser(
        "train", help="train a GCN, GraphSAGE or GIN on a device", epilog=EXAMPLE,
        description="Train a network, every matrix product of every pass on the device.",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )  # fmt: skip
    add_data(parser)
    add_device(parser)
    add_network(parser)
    parser.add_argument(
        "--update", choices=UPDATES,
        help="where loss and weight step are computed, the device's many epochs a run; "
        f"default {DEFAULTS.update}, or host with --parallel mop and partition",
    )  # fmt: skip
    add_parallel(parser)
    parser.add_argument(
        "--optimiser", default=DEFAULTS.optimiser, choices=OPTIMISERS,
        help=f"adam is the host's only; default {DEFAULTS.optimiser}",
    )  # fmt: skip
    add_numbers(
        parser,
        epochs="full-batch steps",
        lr="learning rate",
        momentum="of sgd",
        weight_decay="of the first layer",
        patience="stop after so many epochs without smaller validation loss, 0 never",
        validate_every="epochs between looks at validation nodes, 0 at the end; --update device",
        halve_every="epochs, a power of two, that halve lr, 0 never; --update device",
    )
    parser.add_argument(
        "--checkpoint", type=Path, metavar="FILE",
        help="written at the end and on Ctrl-C; default gcnloom-GRAPH.npz",
    )  # fmt: skip
    parser.add_argument(
        "--checkpoint-every", type=int, default=0, metavar="N", help="also every N epochs"
    )
    parser.add_argument(
        "--weights", type=Path, metavar="FILE",
        help="begin with weights1, weights2... of an .npz file instead of random ones",
    )  # fmt: skip
    parser.add_argument(
        "--save-weights", type=Path, metavar="FILE",
        help="also write the weights kept there, as numbers with exponents",
    )  # fmt: skip
    parser.add_argument("--resume", action="store_true", help="continue from the checkpoint")
    parser.add_argument("--force", action="store_true", help="replace an existing checkpoint")
    parser.add_argument(
        "--report", action="store_true", help="end with a report; compares with a baseline"
    )
    add_common(parser)
    parser.set_defaults(run=_run)


def _run(options: argparse.Namespace) -> int:
    start = _start(options)
    if options.parallel == SINGLE:
        document = _single(options, start)
    else:
        document = train_parallel(options, start)
    start.progress.close()
    if document is None:
        return INTERRUPTED
    if not speaks(options):
        return 0
    document |= {"memory": options.memory, "checkpoint": str(start.path)}
    if options.report:
        document["baseline"] = {"logistic_regression": logistic_regression(start.graph)}
    write_json(options, document)
    if prints(options):
        print(report(document, full=options.report, json=options.json))
    return 0


def _start(options: argparse.Namespace) -> Start:
    """Check the options and load what they name."""
    begin = time.perf_counter()
    settings = settings_of(options)
    if options.checkpoint_every < 0:
        raise ConfigError(f"--checkpoint-every {options.checkpoint_every} is negative; try 10")
    path = _checkpoint_path(options)
    if options.weights and options.resume:
        raise ConfigError("--weights and --resume both say how to begin; try one of them")
    check_writable(options, checkpoint=path, **{"save-weights": options.save_weights})
    first = load_weights(options.weights) if options.weights else None
    earlier = load_checkpoint(path) if options.resume else None
    progress = Progress(
        sys.stderr, epochs=shown_epochs(options), quiet=options.quiet or not speaks(options),
        verbose=options.verbose,
    )  # fmt: skip
    progress.stage(f"loading {options.data}")
    graph = load_graph(options, options.seed)
    return Start(
        begin=begin, settings=settings, path=path, first=first, earlier=earlier,
        progress=progress, graph=graph,
    )  # fmt: skip


def settings_of(options: argparse.Namespace) -> Options:
    """Return how the network is trained; says in `options`, too, where its weights are updated."""
    if options.update is None:
        own = options.parallel in (SINGLE, GIST)
        options.update = DEFAULTS.update if own else "host"
    check_rounds(options)
    return Options(**{name: getattr(options, name) for name in DEFAULTS.as_dict()})


def _single(options: argparse.Namespace, start: Start) -> dict[str, Any] | None:
    """Train on one device; None if interrupted."""
    if options.workers not in (None, 1):
        raise ConfigError(
            f"--workers {options.workers} is for training in parallel; try --parallel mop"
        )
    sampling_of(options)
    pipeline_of(options)
    progress, path = start.progress, start.path
    with open_device(options, progress) as device:
        progress.stage("partitioning, scheduling and lowering")
        trainer = trainer_for(start.graph, start.settings, device, pause=options.checkpoint_every)
        start.begin_with(trainer)
        build = time.perf_counter() - start.begin
        try:
            trainer.run(_watcher(trainer, path, options.checkpoint_every, progress))
            start.keep(trainer, options.save_weights)
        except KeyboardInterrupt:
            progress.close()
            interrupted(trainer, path, options.arguments)
            return None
        document = result(
            trainer, device=options.device, config=options.config, begin=start.begin, build=build
        )
        link = {"streamed": device.window.streaming, **asdict(device.window.moved)}
    return document | {"link": link}


def _checkpoint_path(options: argparse.Namespace) -> Path:
    """Where the checkpoint goes; an error where that would lose an earlier one."""
    stem = Path(options.data).stem if options.data.endswith(".npz") else options.data
    path: Path = options.checkpoint or Path(f"gcnloom-{stem.translate(PLAIN)}.npz")
    if path.is_file() and not (options.resume or options.force):
        raise CheckpointError(
            f"{path} exists; try --resume to continue it, --force to replace it or "
            "--checkpoint with another path"
        )
    return path


def _watcher(trainer: Trainer, path: Path, every: int, progress: Progress) -> Any:
    window = trainer.engine.device.window
    before = {len(trainer.history): window.moved}
    told = min(len(trainer.history) + SETTLED, trainer.options.epochs)

    def watch(epoch: Epoch) -> None:
        # Some epochs may be seen together.
        done, (earlier, moved) = len(trainer.history), before.popitem()
        if window.streaming and earlier < told <= done:
            progress.streams(window, (window.moved - moved) // (done - earlier), "an epoch")
        before[done] = window.moved
        progress.epoch(epoch)
        if every and epoch.epoch % every == 0:
            save_checkpoint(path, trainer.checkpoint())

    return watch
