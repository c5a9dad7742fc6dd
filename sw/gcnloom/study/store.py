# SPDX-License-Identifier: Apache-2.0
"""Runs of a study, each kept as a file of its own."""

import json
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from gcnloom.errors import DataError
from gcnloom.study.cases import Case

__all__ = ["Run", "Store", "run_missing"]


@dataclass(frozen=True, kw_only=True)
class Run:
    """A training that is over.

    Attributes
    ----------
    case : Case
    result : dict
        What it came to; empty if it failed.
    error : str
        Why it failed; empty if it did not.
    """

    case: Case
    result: dict[str, Any]
    error: str = ""


class Store:
    """A folder of runs, by digest.

    Parameters
    ----------
    folder : Path
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def path(self, case: Case) -> Path:
        """Where a run is kept."""
        return self._folder / f"{case.digest}.json"

    def find(self, case: Case) -> Run | None:
        """Return a run that is kept; None if there is none."""
        path = self.path(case)
        if not path.is_file():
            return None
        try:
            text = json.loads(path.read_text(encoding="utf-8"))
            return Run(case=case, result=text["result"], error=text["error"])
        except (ValueError, KeyError, TypeError) as error:
            raise DataError(f"{path} is no run of a study ({error}); try to delete it") from None

    def keep(self, run: Run) -> None:
        """Write a run, whole or not at all."""
        self._folder.mkdir(parents=True, exist_ok=True)
        case = asdict(run.case) | {"options": dict(run.case.options)}
        text = {"case": case, "command": run.case.command, "error": run.error, "result": run.result}
        path = self.path(run.case)
        partial = path.with_suffix(".part")
        partial.write_text(json.dumps(text, separators=(",", ":")) + "\n", encoding="utf-8")
        partial.replace(path)


def run_missing(
    cases: Iterable[Case], store: Store, train: Callable[[Case], dict[str, Any]],
    watch: Callable[[Case, Run | None], None], *, retry: bool = False,
) -> list[Run]:  # fmt: skip
    """Train what is not kept yet, and keep it; return all runs.

    Parameters
    ----------
    cases : iterable of Case
    store : Store
    train : callable
        Returns what a training came to. What it raises is kept as the run's error; an
        interruption is not, and ends all.
    watch : callable
        Is given each case before it is trained, and with its run when that is there.
    retry : bool
        Whether what failed before is trained again.
    """
    runs = []
    for case in cases:
        run = store.find(case)
        if run is None or (retry and run.error):
            watch(case, None)
            run = _tried(case, train)
            store.keep(run)
        watch(case, run)
        runs.append(run)
    return runs


def _tried(case: Case, train: Callable[[Case], dict[str, Any]]) -> Run:
    try:
        return Run(case=case, result=train(case))
    except Exception as error:
        return Run(case=case, result={}, error=f"{type(error).__name__}: {error}")
