# SPDX-License-Identifier: Apache-2.0
"""Break one line at a time in a copy of the tree and see which test notices.

Run as ``python tests/mutations.py [WORD ...]``; words choose the files whose paths contain one.
Prints a Markdown table; exits with 1 if a break was not noticed.
"""

import os
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[1]
LEFT_OUT = (".*", "__pycache__", "build", "dist", "runs")
PATIENCE = 240
"""Seconds after which a test counts as hanging; the longest listed one takes a fifth of that."""

HW, SW = "hw/gcnloom_hw", "sw/gcnloom"
EPILOGUE = ("tests/hw/test_epilogue.py",)
AGGREGATE = ("tests/hw/test_aggregate.py",)
TRANSFORM = ("tests/hw/test_transform.py",)
STREAMS = ("tests/hw/test_streams.py",)
SMALLEST = ("tests/system/test_random_programs.py", "-k", "smallest")
TALL = ("tests/system/test_random_programs.py", "-k", "tall")
SCHEDULE = ("tests/sw/test_schedule.py", "-k", "not million and not cora")
DEPENDENCE = ("tests/sw/test_dependence.py", "tests/sim/test_random_programs.py")
GRADIENTS = ("tests/system/test_gradients.py", "-k", "odd")
CONFIGURATIONS = ("tests/system/test_executors.py", "-k", "configurations and odd")


@dataclass(frozen=True)
class Mutation:
    """One line of one file, broken."""

    file: str
    before: str
    after: str
    tests: tuple[str, ...]


MUTATIONS = [
    Mutation(
        f"{HW}/arithmetic/requantise.py",
        "Mux(quotient[0] | sticky, half, half - 1)",
        "Mux(quotient[0], half, half - 1)",
        ("tests/hw/test_requantise.py",),
    ),
    Mutation(
        f"{HW}/arithmetic/threefry.py",
        "group, position = divmod(index + 1, ROUNDS_PER_KEY)",
        "group, position = divmod(index, ROUNDS_PER_KEY)",
        ("tests/hw/test_threefry.py",),
    ),
    Mutation(
        f"{HW}/epilogue/gate.py",
        "randoms.dropout[lane] < controls.threshold",
        "randoms.dropout[lane] <= controls.threshold",
        EPILOGUE,
    ),
    Mutation(f"{HW}/epilogue/random_bytes.py", "request.row.eq(request.row + 1),", "", EPILOGUE),
    Mutation(
        f"{HW}/epilogue/statistics.py",
        "merged.envelope.eq(stored.envelope | total.envelope)",
        "merged.envelope.eq(stored.envelope ^ total.envelope)",
        EPILOGUE,
    ),
    Mutation(
        f"{HW}/aggregate/pe.py",
        "self.edge.valid & self.edge.first, 4",
        "self.edge.first, 4",
        AGGREGATE,
    ),
    Mutation(
        f"{HW}/aggregate/drain.py",
        "returned=entry.valid & ~push",
        "returned=0",
        AGGREGATE,
    ),
    Mutation(
        f"{HW}/aggregate/engine.py",
        "issue.eq(drain.available | ~(draining | final))",
        "issue.eq(1)",
        AGGREGATE,
    ),
    Mutation(
        f"{HW}/transform/accumulate.py",
        "Mux(fetched.clear, 0, memory.read_data)",
        "memory.read_data",
        TRANSFORM,
    ),
    Mutation(
        f"{HW}/transform/row.py",
        "controls[c + 1].capture",
        "controls[c].capture",
        TRANSFORM,
    ),
    Mutation(
        f"{HW}/streams/fork.py",
        "(taken | taking | ~self.choose).all()",
        "(taken | taking | ~self.choose).any()",
        STREAMS,
    ),
    Mutation(
        f"{HW}/streams/gearbox.py",
        "(filled > slot).replicate",
        "(filled >= slot).replicate",
        STREAMS,
    ),
    Mutation(
        f"{HW}/streams/merge.py",
        "self.o.valid.eq(served.valid)",
        "self.o.valid.eq(1)",
        STREAMS,
    ),
    Mutation(
        f"{HW}/streams/queue.py",
        "with m.If(self.take & ~released):",
        "with m.If(self.take & released):",
        STREAMS,
    ),
    Mutation(f"{HW}/control/tokens.py", "SETTLE = 6", "SETTLE = 1", SMALLEST),
    Mutation(f"{HW}/control/gate.py", "& ~self.available", "& 0", SMALLEST),
    Mutation(
        f"{HW}/control/sequencer.py",
        "offer.ready.eq(dealt | self.fault)",
        "offer.ready.eq(dealt)",
        ("tests/system/test_transport_faults.py",),
    ),
    Mutation(
        f"{HW}/core.py",
        "aggregate_epilogue.saturations + transform_epilogue.saturations",
        "aggregate_epilogue.saturations | transform_epilogue.saturations",
        SMALLEST,
    ),
    Mutation(
        f"{HW}/fabric.py",
        "self.vectors.valid & self.vectors.ready & vector.last",
        "self.vectors.valid & vector.last",
        SMALLEST,
    ),
    Mutation(f"{HW}/memory/load.py", "element > 0 for", "element >= 0 for", SMALLEST),
    Mutation(
        f"{HW}/memory/port.py",
        "words.p.last.eq(owners.o.p.last)",
        "words.p.last.eq(0)",
        SMALLEST,
    ),
    Mutation(
        f"{HW}/memory/store.py",
        "finished.eq(self.wrote & last)",
        "finished.eq(self.wrote)",
        TALL,
    ),
    Mutation(
        f"{SW}/scheduling/spacing.py", "frame * HAZARD_DISTANCE)", "frame * length)", SCHEDULE
    ),
    Mutation(
        f"{SW}/scheduling/dealing.py", "last[start + counts - 1] = 1", "last[start] = 1", SCHEDULE
    ),
    Mutation(f"{SW}/scheduling/dealing.py", "used[chosen] += 1", "used[chosen] += 0", SCHEDULE),
    Mutation(
        f"{SW}/programs/dependence.py",
        "table = self.users if write else self.writers",
        "table = self.writers",
        DEPENDENCE,
    ),
    Mutation(
        f"{SW}/programs/dependence.py",
        "complete[other] = needed[other]",
        "complete[other] = needed[other] + 1",
        DEPENDENCE,
    ),
    Mutation(
        f"{SW}/programs/access.py",
        "command.address + packing.words(command.count), False",
        "command.address + 1, False",
        DEPENDENCE,
    ),
    Mutation(
        f"{SW}/lower/buffers.py",
        "if region.base >= base + size or",
        "if region.base >= base or",
        GRADIENTS,
    ),
    Mutation(
        f"{SW}/lower/builder.py", "feature=panel * config.lanes", "feature=panel", CONFIGURATIONS
    ),
    Mutation(
        f"{SW}/lower/network.py",
        'self.matrices.get("adjacency_transposed", self.matrices["adjacency"])',
        'self.matrices["adjacency"]',
        GRADIENTS,
    ),
    Mutation(
        f"{SW}/lower/products.py",
        "first=int(step == 0), last=int(last)",
        "first=1, last=int(last)",
        GRADIENTS,
    ),
]


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
