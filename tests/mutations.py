# SPDX-License-Identifier: Apache-2.0
"""Break one line at a time in a copy of the tree and see which test notices.

Run as ``python -m tests.mutations [WORD ...]``; words choose the files whose paths contain one.
Prints a Markdown table; exits with 1 if a break was not noticed.
"""

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from tests.breaks import GATEWARE, Mutation
from tests.breaks_of_gist import PARTS
from tests.breaks_of_host import HOST
from tests.breaks_of_link import LINK
from tests.breaks_of_parallel import TOGETHER
from tests.breaks_of_sampling import SAMPLED
from tests.breaks_of_step import STEP
from tests.breaks_of_study import STUDIES
from tests.breaks_of_update import UPDATE

MUTATIONS = [*GATEWARE, *STEP, *UPDATE, *HOST, *TOGETHER, *PARTS, *SAMPLED, *LINK, *STUDIES]
ROOT = Path(__file__).parents[1]
LEFT_OUT = (".*", "__pycache__", "build", "dist", "runs")
PATIENCE = 240
"""Seconds after which a test counts as hanging; the longest listed one takes a fifth of that."""


def main(words: list[str]) -> int:
    """Try the chosen mutations, print the table, return how many no test noticed."""
    chosen = [m for m in MUTATIONS if not words or any(word in m.file for word in words)]
    missed = 0
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder) / "tree"
        shutil.copytree(ROOT, copy, ignore=shutil.ignore_patterns(*LEFT_OUT))
        print("| File | Line | Broken | First failing test | Its message |")
        print("|---|---|---|---|---|")
        for mutation in chosen:
            noticed = first_failure(copy, mutation)
            missed += noticed is None
            test, message = noticed or ("**none**", "")
            cells = (mutation.before, mutation.after or "(left out)", message)
            before, after, message = (f"`{cell.replace('|', chr(92) + '|')}`" for cell in cells)
            print(f"| {mutation.file} | {before} | {after} | {test} | {message} |", flush=True)
    return missed


def first_failure(copy: Path, mutation: Mutation) -> tuple[str, str] | None:
    """Name of the first test that fails with the line broken, and why; None if all pass."""
    path = copy / mutation.file
    text = path.read_text(encoding="utf-8")
    if text.count(mutation.before) != 1:
        raise ValueError(
            f"{mutation.file} has {text.count(mutation.before)} places {mutation.before!r}; "
            "quote exactly one"
        )
    path.write_text(text.replace(mutation.before, mutation.after), encoding="utf-8")
    try:
        return run_tests(copy, mutation.tests)
    finally:
        path.write_text(text, encoding="utf-8")


def run_tests(copy: Path, tests: tuple[str, ...]) -> tuple[str, str] | None:
    """Run tests in the copy up to the first failure."""
    folders = os.pathsep.join(str(copy / name) for name in ("hw", "sw", "sim", "fpga"))
    command = [sys.executable, "-m", "pytest", "-x", "-rfE", "--tb=no", "-p", "no:cacheprovider"]
    try:
        answer = subprocess.run(
            [*command, *tests],
            cwd=copy,
            env=os.environ | {"PYTHONPATH": folders, "COLUMNS": "400"},
            capture_output=True,
            text=True,
            timeout=PATIENCE,
        )
    except subprocess.TimeoutExpired:
        return tests[0], f"hangs: no answer in {PATIENCE} s"
    if answer.returncode == 0:
        return None
    lines = [line for line in answer.stdout.splitlines() if line.startswith(("FAILED", "ERROR"))]
    if not lines:
        raise RuntimeError(f"pytest {' '.join(tests)} did not run:\n{answer.stdout[-2000:]}")
    test, _, message = lines[0].partition(" - ")
    return test.split(" ", 1)[1].split("::", 1)[-1], message[:160]


if __name__ == "__main__":
    sys.exit(min(1, main(sys.argv[1:])))
