# SPDX-License-Identifier: Apache-2.0
"""``gcnloom study``."""

import argparse
import shlex
import sys
import time
from pathlib import Path
from typing import Any

from gcnloom.cli.options import INTERRUPTED
from gcnloom.cli.progress import Progress
from gcnloom.cli.running import foretell, options_of, train_case
from gcnloom.errors import ConfigError
from gcnloom.parallel.mpi import launched
from gcnloom.study.cases import Case, Study, load_study
from gcnloom.study.figures import Figures
from gcnloom.study.finding import Finding, load_findings
from gcnloom.study.links import epoch_seconds
from gcnloom.study.report import findings_of, report
from gcnloom.study.statements import STATEMENTS
from gcnloom.study.store import Run, Store, run_missing

__all__ = ["add_commands"]

RUNS, REPORT = "runs", "report"
MILLI = 1e3
EXAMPLE = """examples:
  gcnloom study examples/study.toml -o results
  gcnloom study examples/study.toml -o results      again: goes on where it stopped
  gcnloom study examples/study.toml -o results --findings docs/results/statements"""


def add_commands(commands: Any) -> None:
    """Add the command to the parser's."""
    parser = commands.add_parser(
        "study", help="train in many modes side by side and report", epilog=EXAMPLE,
        description="Train a matrix of modes, workers, graphs and seeds; write a report. Each "
        "training is kept as a file, and not repeated.",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )  # fmt: skip
    parser.add_argument("file", type=Path, metavar="FILE", help="the study, see docs/study.md")
    parser.add_argument(
        "-o", "--output", type=Path, default=Path("study"), metavar="FOLDER",
        help=f"where {REPORT}.html, {REPORT}.md and its pictures go, and trainings, under {RUNS}; "
        "default study",
    )  # fmt: skip
    parser.add_argument(
        "--findings", type=Path, metavar="FOLDER",
        help="what other measurements found of statements, for those that this study cannot show",
    )  # fmt: skip
    parser.add_argument(
        "--foretell", action="store_true",
        help="only print what an epoch of each training will take, by the cost model",
    )  # fmt: skip
    parser.add_argument("--retry", action="store_true", help="train again what failed before")
    volume = parser.add_mutually_exclusive_group()
    volume.add_argument("-v", "--verbose", action="store_true", help="a line a training")
    volume.add_argument("-q", "--quiet", action="store_true", help="print errors only")
    parser.set_defaults(run=_run)


def _run(options: argparse.Namespace) -> int:
    if launched():
        raise ConfigError("a study's workers are threads; try it without mpiexec")
    if options.findings is not None and not options.findings.is_dir():
        raise ConfigError(
            f"--findings {options.findings} is no folder; try docs/results/statements"
        )
    study = load_study(options.file)
    for case in study.cases:
        options_of(case)
    if options.foretell:
        print(_foretold(study))
        return 0
    kept = [] if options.findings is None else load_findings(options.findings)
    options.output.mkdir(parents=True, exist_ok=True)
    store = Store(options.output / RUNS)
    progress = Progress(sys.stderr, quiet=options.quiet, verbose=options.verbose)
    try:
        runs = run_missing(
            study.cases, store, train_case, _watcher(study, progress), retry=options.retry
        )
    except KeyboardInterrupt:
        progress.close()
        there = sum(store.path(case).is_file() for case in study.cases)
        print(
            f"gcnloom: interrupted; {there} of {len(study.cases)} trainings are kept in "
            f"{options.output}, and the same command goes on",
            file=sys.stderr,
        )
        return INTERRUPTED
    progress.close()
    words = ["gcnloom", "study", str(options.file), "-o", str(options.output)]
    figures = Figures.of(study, runs, shlex.join(words))
    page = report(figures, kept)
    page.save(options.output, REPORT)
    if not options.quiet:
        print(_summary(figures, kept, options.output))
    return 0


def _watcher(study: Study, progress: Progress) -> Any:
    """Show each training as it begins, with how many are over."""
    begin, over, total = time.perf_counter(), [0, 0], len(study.cases)

    def watch(case: Case, run: Run | None) -> None:
        if run is None:
            progress.part(over[0], total, case.title, _left(begin, over[1], total - over[0]))
            over[1] += 1
            return
        over[0] += 1
        if run.error:
            progress.note(f"failed: {case.title}: {run.error}")

    return watch


def _foretold(study: Study) -> str:
    """Return beats, messages, bytes and modelled milliseconds of an epoch, a line a case."""
    links = study.links
    head = f"{'an epoch of the busiest worker':<52} {'beats':>9} {'messages':>9} {'bytes':>11}"
    lines = ["  ".join([head, *(f"ms, {link.name}" for link in links)])]
    for case in study.cases:
        numbers = foretell(case)["per_worker"]
        moved = max(map(sum, zip(numbers["bytes"], numbers["fetched_bytes"], strict=True)))
        counts = max(numbers["beats"]), max(numbers["messages"]), moved
        head = f"{case.title:<52} {counts[0]:>9,.0f} {counts[1]:>9,.0f} {counts[2]:>11,.0f}"
        times = [
            f"{MILLI * epoch_seconds(numbers, link, study.clock):>{len(link.name) + 4}.3f}"
            for link in links
        ]
        lines.append("  ".join([head, *times]))
    return "\n".join(lines)


def _left(begin: float, trained: int, missing: int) -> float | None:
    """Seconds that the rest will take, if it is like what was trained here."""
    return (time.perf_counter() - begin) * missing / trained if trained else None


def _summary(figures: Figures, kept: list[Finding], folder: Path) -> str:
    """Return what the report says in a few lines."""
    found = findings_of(figures, kept)
    lines = [
        f"  {name:<3} {one.verdict:<10} {one.measured}"
        for name in (statement.name for statement in STATEMENTS)
        if (one := found.get(name)) is not None
    ]
    unknown = len(STATEMENTS) - len(lines)
    counts = f"{len(figures.runs)} trainings, {len(figures.failed)} failed"
    return "\n".join(
        [
            *lines,
            f"{counts}; {unknown} statements not measured",
            f"report       {folder / REPORT}.html, {folder / REPORT}.md",
        ]
    )
