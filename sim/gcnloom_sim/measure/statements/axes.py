# SPDX-License-Identifier: Apache-2.0
"""The axes of parallelism, each switched by the command line: A1."""

import argparse
import json
from collections.abc import Sequence
from contextlib import redirect_stderr
from dataclasses import dataclass
from io import StringIO
from pathlib import Path
from tempfile import TemporaryDirectory

from gcnloom.cli import main
from gcnloom_sim.measure.statements.measured import Measured, Say

__all__ = ["AXES", "Axis", "axes", "trained_by"]

LEAST = 6
DATA = "community:60,6,16,3"
"""Dense features, which both engines may share."""


@dataclass(frozen=True, kw_only=True)
class Axis:
    """A way to do things at once; which of ours it is, is our own reading.

    Attributes
    ----------
    name : str
        As Besta and Hoefler have it.
    what : str
        What happens at once.
    switch : str
        Options of ``gcnloom train`` that turn it on.
    without : str
        Those that turn it off.
    same : bool
        Whether the weights are those without it.
    test : str
        Which says so of more.
    """

    name: str
    what: str
    switch: str
    without: str
    same: bool
    test: str


AXES = (
    Axis(
        name="partition", what="parts of the graph, on a device each",
        switch="--parallel partition --workers 2", without="", same=True,
        test="tests/sw/parallel/test_trainer.py",
    ),
    Axis(
        name="feature", what="columns of features, on a device each; in one, on a lane each",
        switch="--parallel mop --workers 2", without="", same=True,
        test="tests/sw/parallel/test_trainer.py",
    ),
    Axis(
        name="mini-batch", what="batches of training nodes, on a device each",
        switch="--parallel cooperative --workers 2 --batch 3",
        without="--parallel minibatch --workers 1 --batch 6", same=True,
        test="tests/sw/sampling/test_training.py",
    ),
    Axis(
        name="operator", what="rows of one product, on both engines",
        switch="--mixture", without="--no-mixture", same=True, test="tests/sw/test_mixture.py",
    ),
    Axis(
        name="macro-pipeline", what="products of a layer and of the next, on an engine each",
        switch="", without="--serial", same=True, test="tests/sw/test_serial.py",
    ),
    Axis(
        name="micro-pipeline", what="a part of a product, and the exchange of the part before it",
        switch="--parallel mop --workers 2 --chunks 4", without="--parallel mop --workers 2",
        same=True, test="tests/sw/parallel/test_pipeline.py",
    ),
    Axis(
        name="asynchronous", what="products, and the exchange of what an earlier epoch left",
        switch="--parallel mop --workers 2 --staleness 1", without="--parallel mop --workers 2",
        same=False, test="tests/sw/parallel/test_pipeline.py",
    ),
)  # fmt: skip


def axes(options: argparse.Namespace, say: Say) -> Measured:
    """A1: axes of parallelism that a switch turns on, and what it does to the weights."""
    cells: list[tuple[object, ...]] = []
    working = []
    for axis in AXES:
        say(axis.name)
        on, off = (
            trained_by(words.split(), options.device) for words in (axis.switch, axis.without)
        )
        found = "not there" if on is None else "same weights" if on == off else "other weights"
        if on is not None and (on == off) == axis.same:
            working.append(axis.name)
        cells.append(
            (axis.name, axis.what, _code(axis.switch), _code(axis.without), found,
             f"`{axis.test}`")
        )  # fmt: skip
    return Measured(
        header=("axis", "at once", "on", "off", "with it", "test"), rows=cells,
        held=[len(working) >= LEAST],
        asked=f">= {LEAST} of {len(AXES)} axes named, switched, tested",
        measured=f"{len(working)} of {len(AXES)}: {', '.join(working)}",
    )  # fmt: skip


def trained_by(words: Sequence[str], device: str) -> str | None:
    """Digest of the weights that ``gcnloom train`` comes to; None if it refuses the options."""
    with TemporaryDirectory() as folder:
        answer = Path(folder) / "answer.json"
        command = [
            "train", "--data", DATA, "--device", device, "--config", "odd", "--epochs", "3",
            "--hidden", "6", "--update", "host", "--quiet", "--json", str(answer),
            "--checkpoint", str(Path(folder) / "kept.npz"), *words,
        ]  # fmt: skip
        try:
            with redirect_stderr(StringIO()):
                code = main(command)
        except SystemExit:
            return None
        if code:
            return None
        digest: str = json.loads(answer.read_text(encoding="utf-8"))["weights_sha256"]
        return digest


def _code(words: str) -> str:
    return f"`{words}`" if words else "default"
