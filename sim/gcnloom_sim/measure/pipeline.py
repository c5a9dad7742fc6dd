# SPDX-License-Identifier: Apache-2.0
"""``python -m gcnloom_sim.measure pipeline WHAT``: exchanges in chunks, and of earlier epochs."""

import argparse
import json
import shlex
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np

from gcnloom.graphs import datasets
from gcnloom.parallel.pipeline import MOST_CHUNKS, Pipeline
from gcnloom.parallel.trainer import MODES
from gcnloom.study.finding import Finding
from gcnloom.training.options import Options
from gcnloom_sim.measure.parallel import Trained, trained_alone, trained_together
from gcnloom_sim.workloads.rows import parsed_options

__all__ = ["add_pipeline"]

Table = tuple[Sequence[str], Iterable[Sequence[object]]]
SYNCHRONOUS_EPOCHS = 4
"""After which the bits of synchronous training are compared."""
MOST_LOST = 0.5
"""Points of accuracy that staleness of one epoch may cost."""


def add_pipeline(measurements: Any) -> None:
    """Add the command to the parser's."""
    parser = measurements.add_parser("pipeline", help="exchanges in chunks, or stale",
                                     description=__doc__)  # fmt: skip
    statements = parser.add_subparsers(required=True, metavar="WHAT")

    def add(name: str, measure: Callable[[argparse.Namespace], Table], purpose: str) -> Any:
        added = statements.add_parser(name, help=purpose, description=purpose)
        added.set_defaults(measure=measure)
        added.add_argument("--data", default="digits", help="as `gcnloom train` takes it")
        added.add_argument("--device", default="model:mul144")
        added.add_argument("--modes", nargs="+", default=MODES, choices=MODES)
        added.add_argument("--set", nargs="*", default=[], dest="changes", metavar="NAME=VALUE",
                           help="training options")  # fmt: skip
        added.add_argument("--findings", type=Path, metavar="FOLDER", help="keep the finding there")
        return added

    stale = add("staleness", _staleness, "accuracy with rows of others some epochs old")
    stale.add_argument("--workers", type=int, default=2)
    stale.add_argument("--epochs", type=int, default=Options().epochs)
    stale.add_argument("--staleness", type=int, nargs="+", default=[1, 2, 4])
    stale.add_argument("--seeds", type=int, default=3)
    stale.add_argument("--json", type=Path, metavar="FILE",
                       help="keep trainings there; those in it are not redone")  # fmt: skip
    chunks = add("chunks", _chunks, "weights, and bytes that travel beside products")
    chunks.add_argument("--workers", type=int, nargs="+", default=[2, 4])
    chunks.add_argument("--epochs", type=int, default=SYNCHRONOUS_EPOCHS)


def _staleness(options: argparse.Namespace) -> Table:
    header = ("mode", "staleness", "oldest rows", "test accuracy", "from synchronous", "by seed")
    return header, _stale_rows(options)


def _stale_rows(options: argparse.Namespace) -> Iterator[Sequence[object]]:
    exact = _exact(options)
    alone = _over_seeds(options, None, Pipeline())
    yield ("one device", 0, 0, *_accuracies(alone, alone))
    lost, bounded = {}, True
    for mode in options.modes:
        for staleness in options.staleness:
            done = _over_seeds(options, mode, Pipeline(staleness=staleness))
            oldest = max(
                int(age) for each in done for age in each.summary["staleness"]["exchanges"]
            )
            bounded &= oldest <= staleness
            if staleness == 1:
                lost[mode] = _mean(alone) - _mean(done)
            yield (mode, staleness, oldest, *_accuracies(done, alone))
    if options.findings:
        _finding_a6(options, exact, bounded, lost).save(options.findings)


def _finding_a6(
    options: argparse.Namespace, exact: bool, bounded: bool, lost: dict[str, float]
) -> Finding:
    losses = ", ".join(f"{mode} {-points:+.2f}" for mode, points in lost.items())
    over = [mode for mode, points in lost.items() if points > MOST_LOST]
    complete = set(lost) == set(MODES) and {1, 2, 4} <= set(options.staleness)
    refuted = over or not (exact and bounded)
    return Finding(
        statement="A6",
        verdict="refuted" if refuted else "shown" if complete else "not shown",
        asked="s = 0 the same bits, s = 1 within 0.5 point, no row older than s = 1, 2, 4",
        measured=f"s = 0 {'the same bits' if exact else 'other bits'}; s = 1 {losses} points on "
        f"{options.data}, {options.workers} workers, {options.seeds} seeds; rows "
        f"{'never older than s' if bounded else 'older than s'}",
        command=_command(options),
        why=f"{', '.join(over)}: every exchange of a pass adds an epoch" if over else "",
    )


def _exact(options: argparse.Namespace) -> bool:
    """Whether workers without staleness come to the bits of one device."""
    graph = datasets.load(options.data, seed=0)
    settings = replace(_settings(options), epochs=SYNCHRONOUS_EPOCHS)
    alone = trained_alone(graph, options.device, settings).weights
    return all(
        trained_together(graph, options.device, options.workers, mode, settings).weights == alone
        for mode in options.modes
    )


def _over_seeds(options: argparse.Namespace, mode: str | None, pipeline: Pipeline) -> list[Trained]:
    """Train with every seed, on one device without a mode; earlier trainings are not redone."""
    file, workers = options.json, options.workers if mode else 1
    earlier = json.loads(file.read_text()) if file and file.is_file() else {}
    done = []
    for seed in range(options.seeds):
        settings = replace(_settings(options), seed=seed)
        words = [options.data, mode or "single", workers, pipeline.staleness, seed]
        key = " ".join(map(str, [*words, options.epochs, *sorted(options.changes)]))
        if key not in earlier:
            _say(key)
            graph = datasets.load(options.data, seed=seed)
            trained = (
                trained_together(graph, options.device, workers, mode, settings, pipeline)
                if mode else trained_alone(graph, options.device, settings)
            )  # fmt: skip
            earlier[key] = asdict(trained)
            if file:
                file.write_text(json.dumps(earlier, indent=1) + "\n")
        done.append(Trained(**earlier[key]))
    return done


def _chunks(options: argparse.Namespace) -> Table:
    header = ("mode", "workers", "chunks", "weights", "beside products", "waited for", "share")
    return header, _chunk_rows(options)


def _chunk_rows(options: argparse.Namespace) -> Iterator[Sequence[object]]:
    graph, settings = datasets.load(options.data, seed=0), _settings(options)
    alone = trained_alone(graph, options.device, settings).weights
    same = True
    for mode in options.modes:
        for workers in options.workers:
            for chunks in range(1, MOST_CHUNKS + 1):
                done = trained_together(
                    graph, options.device, workers, mode, settings, Pipeline(chunks=chunks)
                )
                same &= done.weights == alone
                hidden, waited = done.summary["overlap"].values()
                yield (
                    mode, workers, chunks, f"`{done.weights[:16]}`", f"{hidden:,}", f"{waited:,}",
                    f"{100 * hidden / (hidden + waited):.1f} %",
                )  # fmt: skip
    if options.findings:
        Finding(
            statement="A7", verdict="shown" if same else "refuted",
            asked="any pipeline depth 1 to 8 gives the same bits in synchronous mode",
            measured=f"chunks 1 to {MOST_CHUNKS}, {' and '.join(options.modes)}, "
            f"{' and '.join(map(str, options.workers))} workers, {options.data}: weights "
            f"{'those' if same else 'not those'} of one device",
            command=_command(options),
        ).save(options.findings)  # fmt: skip


def _settings(options: argparse.Namespace) -> Options:
    changes = parsed_options(options.changes)
    return Options(**changes | {"epochs": options.epochs, "update": "host"})


def _accuracies(done: Sequence[Trained], alone: Sequence[Trained]) -> tuple[str, str, str]:
    """Mean accuracy, points it differs from the synchronous one, and of each seed."""
    seeds = ", ".join(f"{100 * (each.test or 0):.2f}" for each in done)
    return f"{_mean(done):.2f} %", f"{_mean(done) - _mean(alone):+.2f}", seeds


def _mean(done: Sequence[Trained]) -> float:
    return 100 * float(np.mean([each.test for each in done]))


def _command(options: argparse.Namespace) -> str:
    words = [word for word in options.arguments if word != "--findings"]
    words = [word for word in words if word != str(options.findings)]
    return f"python -m gcnloom_sim.measure {shlex.join(words)}"


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)
