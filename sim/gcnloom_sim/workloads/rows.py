# SPDX-License-Identifier: Apache-2.0
"""The rows of ``gcnloom bench``, as data: a graph, a configuration, passes and options."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from typing import Any

from gcnloom.errors import ConfigError
from gcnloom.training.options import Options

__all__ = ["CORA", "ROWS", "WORK", "Row", "changed", "chosen", "parsed_options"]

CORA = "cora"
"""Stands for the file that ``--cora`` names."""
WORK = {
    "inference": ("infer",),
    "epoch": ("forward", "backward"),
    "run": ("forward", "backward"),
}
"""Passes of each kind of work."""


@dataclass(frozen=True, kw_only=True)
class Row:
    """One workload.

    Parameters
    ----------
    name : str
    data : str
        As ``gcnloom train --data`` takes it, or :data:`CORA`.
    config : str
        A configuration's name or a TOML file.
    work : {"inference", "epoch", "run"}
        A pass without dropout; the forward and the backward pass of an epoch; or an epoch of a
        run in which the device computes loss and weight step too.
    options : Mapping[str, Any]
        Training options that differ from their defaults, by name.
    megabytes : int
        Device memory.
    purpose : str
        What the row shows.
    """

    name: str
    data: str
    config: str
    work: str
    options: Mapping[str, Any] = field(default_factory=dict)
    megabytes: int = 64
    purpose: str = ""

    @property
    def passes(self) -> tuple[str, ...]:
        """Passes of the engine that make up the work."""
        return WORK[self.work]

    @property
    def missing(self) -> list[str]:
        """Training options of the row that this version does not have."""
        known = {known.name for known in fields(Options)}
        return [name for name in self.options if name not in known]

    def training(self) -> Options:
        """Return the row's training options."""
        update = "device" if self.work == "run" else "host"
        return Options(**{"update": update} | dict(self.options))


ROWS: tuple[Row, ...] = (
    Row(
        name="cora-inference-16", data=CORA, config="mul16", work="inference",
        purpose="Cora, 1433-16-7, within GCNAX's 16 multipliers, 580 KB and 128 bytes a cycle",
    ),
    Row(
        name="cora-epoch-144", data=CORA, config="mul144-wide", work="epoch",
        options={"sampled": False},
        purpose="a training epoch of Cora, every row of every product",
    ),
    Row(
        name="cora-epoch-144-sampled", data=CORA, config="mul144-sampled", work="epoch",
        options={"sampled": True},
        purpose="the same, only what the loss of the training nodes depends on",
    ),
    Row(
        name="cora-run-144-sampled", data=CORA, config="mul144-sampled", work="run",
        options={"sampled": True},
        purpose="the same with loss, weight step and scaling on the device, an epoch of a run",
    ),
    Row(
        name="reddit-like", data="community:16384,50,602,41", config="mul144-dense",
        work="inference",
        options={"hidden": 64}, megabytes=256,
        purpose="602-64-41 with dense features on a power-law graph of mean degree 50",
    ),
    Row(
        name="balanced", data="community:1024,67,64,64", config="mul128", work="inference",
        options={"hidden": 64},
        purpose="as much work for one engine as for the other, in each layer",
    ),
    Row(
        name="balanced-serial", data="community:1024,67,64,64", config="mul128",
        work="inference", options={"hidden": 64, "serial": True},
        purpose="the same, one command of any unit after the other",
    ),
    *(
        Row(
            name=f"rmat-{size}", data=f"rmat:{scale},16", config="mul144-wide", work="inference",
            megabytes=256, purpose="cycles against edges, 64-16-8 on an R-MAT graph",
        )
        for size, scale in (("1e4", 10), ("3e4", 11), ("1e5", 13), ("3e5", 14), ("1e6", 16))
    ),
)  # fmt: skip


def chosen(names: Sequence[str], rows: Sequence[Row] = ROWS) -> list[Row]:
    """Rows by name, in the order they are asked for; all of them if none is named.

    A name that ends with ``*`` stands for every row that begins so.
    """
    found: list[Row] = []
    for name in names or [row.name for row in rows]:
        start = name.removesuffix("*")
        matching = [
            row
            for row in rows
            if row.name == name or (start != name and row.name.startswith(start))
        ]
        if not matching:
            raise ConfigError(
                f"unknown row {name!r}; try one of {', '.join(row.name for row in rows)}"
            )
        found += [row for row in matching if row not in found]
    return found


def parsed_options(words: Sequence[str]) -> dict[str, Any]:
    """Training options given as ``NAME=VALUE``, each of the type of its default."""
    defaults = Options().as_dict()
    options = {}
    for word in words:
        name, equals, text = word.partition("=")
        if not equals or name not in defaults:
            raise ConfigError(f"{word!r} sets no option; try NAME=VALUE of {', '.join(defaults)}")
        kind = type(defaults[name])
        try:
            options[name] = _truth(text) if kind is bool else kind(text)
        except ValueError:
            example = json.dumps(defaults[name])
            raise ConfigError(f"{word!r} is no {kind.__name__}; try {name}={example}") from None
    return options


def _truth(text: str) -> bool:
    if text not in ("true", "false"):
        raise ValueError(text)
    return text == "true"


def changed(row: Row, **changes: Any) -> Row:
    """Return the row with what is not None changed, its options added to."""
    given = {name: value for name, value in changes.items() if value is not None}
    options = {**row.options, **given.pop("options", {})}
    return replace(row, **given, options=options)
