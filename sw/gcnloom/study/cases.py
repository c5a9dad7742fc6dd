# SPDX-License-Identifier: Apache-2.0
"""A study as its file says it: modes by workers, graphs and seeds, and the links to model."""

import hashlib
import json
import shlex
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Any

from gcnloom.errors import ConfigError, DataError
from gcnloom.study.links import Link

__all__ = ["Case", "Study", "load_study"]

SHARED = ("graphs", "workers", "seeds")
TABLES = {"study": (*SHARED, "target"), "device": ("clock",)}
LINK = ("name", "bandwidth", "latency")
FILES = (
    "data", "seed", "checkpoint", "checkpoint-every", "weights", "save-weights", "resume", "force",
    "report", "json", "verbose", "quiet",
)  # fmt: skip
"""Options of ``gcnloom train`` that a study sets itself, or that are about files and screens."""
EXAMPLE = "examples/study.toml"
DIGITS = 16


@dataclass(frozen=True, kw_only=True)
class Case:
    """One training of a study.

    Attributes
    ----------
    mode : str
        What the study's file calls it.
    parallel : str
        ``--parallel`` of ``gcnloom train``.
    graph : str
        Its ``--data``.
    workers, seed : int
    options : tuple of tuple of str and object
        Its further options, without dashes in front, and their values.
    """

    mode: str
    parallel: str
    graph: str
    workers: int
    seed: int
    options: tuple[tuple[str, Any], ...] = ()

    @property
    def arguments(self) -> list[str]:
        """Arguments of the command line that trains so."""
        words = ["train", "--data", self.graph, "--seed", str(self.seed)]
        words += ["--parallel", self.parallel, "--workers", str(self.workers)]
        for name, value in self.options:
            if value is True or value is False:
                words.append(f"--{name}" if value else f"--no-{name}")
            else:
                each = value if isinstance(value, list) else [value]
                words += [f"--{name}", ",".join(map(str, each))]
        return words

    @property
    def command(self) -> str:
        """What to type for this training alone."""
        return shlex.join(["gcnloom", *self.arguments])

    @property
    def digest(self) -> str:
        """Digits that name the training, whatever the study calls it."""
        options = sorted(self.options)
        named = [self.parallel, self.graph, self.workers, self.seed, options]
        return hashlib.sha256(json.dumps(named).encode()).hexdigest()[:DIGITS]

    @property
    def title(self) -> str:
        """What it is, in few words."""
        workers = f"{self.workers} worker{'s' if self.workers > 1 else ''}"
        return f"{self.mode} on {self.graph}, {workers}, seed {self.seed}"


@dataclass(frozen=True, kw_only=True)
class Study:
    """All trainings of a study and what to make of them.

    Attributes
    ----------
    cases : tuple of Case
    links : tuple of Link
    clock : float
        Hertz of the devices.
    target : float
        Share of the first mode's best validation accuracy that counts as reached.
    """

    cases: tuple[Case, ...]
    links: tuple[Link, ...]
    clock: float
    target: float

    @property
    def modes(self) -> tuple[str, ...]:
        """Names of the modes, in the file's order."""
        return tuple(dict.fromkeys(case.mode for case in self.cases))

    @property
    def graphs(self) -> tuple[str, ...]:
        """Graphs, in the file's order."""
        return tuple(dict.fromkeys(case.graph for case in self.cases))


def load_study(path: Path) -> Study:
    """Read a study's file.

    ``[study]`` has lists of ``graphs``, ``workers`` and ``seeds``, and ``target``; ``[training]``
    options of ``gcnloom train`` for all; each table ``[modes.NAME]`` options for that mode, which
    is ``--parallel NAME`` unless ``parallel`` says otherwise, and possibly its own ``graphs``,
    ``workers`` and ``seeds``; ``[device]`` the ``clock``; each ``[[link]]`` a link.

    Raises
    ------
    DataError
        It cannot be read.
    ConfigError
        It says something that has no meaning, or lacks something.
    """
    try:
        text = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise DataError(f"cannot read {path} ({error}); try {EXAMPLE} for a start") from None
    study = _table(text, "study")
    _known(text, ("study", "training", "modes", "device", "link"), str(path))
    for name, known in TABLES.items():
        _known(_table(text, name), known, f"[{name}] of {path}")
    if not _table(text, "modes"):
        raise ConfigError(f"{path} has no modes to compare; try [modes.mop]")
    cases = [
        case
        for name, own in _table(text, "modes").items()
        for case in _cases(name, own, study, _table(text, "training"))
    ]
    return Study(
        cases=tuple({case.digest: case for case in cases}.values()),
        links=tuple(_link(each, path) for each in text.get("link", [])),
        clock=_number(_table(text, "device"), "clock", 50e6),
        target=_number(study, "target", 0.98),
    )


def _cases(
    name: str, own: Mapping[str, Any], study: Mapping[str, Any], training: Mapping[str, Any]
) -> list[Case]:
    """Return the trainings of one mode."""
    options = {key.replace("_", "-"): value for key, value in {**training, **own}.items()}
    parallel = options.pop("parallel", name)
    axes = {}
    for axis in SHARED:
        axes[axis] = options.pop(axis, study.get(axis))
        if not isinstance(axes[axis], list) or not axes[axis]:
            raise ConfigError(f"mode {name!r} has no list of {axis}; try {axis} in [study]")
        for value in axes[axis]:
            if type(value) is not (str if axis == "graphs" else int):
                raise ConfigError(f"mode {name!r} has {value!r} among its {axis}; try {EXAMPLE}")
    for option in options.keys() & set(FILES):
        raise ConfigError(
            f"mode {name!r} sets {option!r}, which is the study's or about files; try without"
        )
    workers = [1] if parallel == "single" else axes["workers"]
    return [
        Case(
            mode=name, parallel=parallel, graph=graph, workers=count, seed=seed,
            options=tuple(options.items()),
        )
        for graph, count, seed in product(axes["graphs"], workers, axes["seeds"])
    ]  # fmt: skip


def _link(table: Mapping[str, Any], path: Path) -> Link:
    _known(table, LINK, f"[[link]] of {path}")
    for name in LINK:
        if name not in table:
            raise ConfigError(f"a [[link]] of {path} has no {name}; try {EXAMPLE}")
    return Link(
        name=str(table["name"]), bandwidth=_number(table, "bandwidth", 0.0),
        latency=_number(table, "latency", 0.0),
    )  # fmt: skip


def _number(table: Mapping[str, Any], name: str, default: float) -> float:
    value = table.get(name, default)
    if type(value) not in (int, float):
        raise ConfigError(f"{name} = {value!r} is no number; try {EXAMPLE}")
    return float(value)


def _table(text: Mapping[str, Any], name: str) -> dict[str, Any]:
    table = text.get(name, {})
    if not isinstance(table, dict):
        raise ConfigError(f"{name} = {table!r} is no table; try [{name}]")
    return table


def _known(table: Mapping[str, Any], names: tuple[str, ...], where: str) -> None:
    for name in table.keys() - set(names):
        raise ConfigError(f"{where} has {name!r}, which is unknown; try {', '.join(names)}")
