# SPDX-License-Identifier: Apache-2.0
"""Options of ``gcnloom train --parallel minibatch`` and ``cooperative``."""

import argparse
from dataclasses import fields
from typing import Any

from gcnloom.errors import ConfigError
from gcnloom.sampling.options import SAMPLED_MODES, SAMPLERS, Sampling

__all__ = ["add_sampling", "sampling_of"]

NAMES = tuple(field.name for field in fields(Sampling))
SHARED = {"evaluate_every"}
"""Options that another mode has, too."""
FANOUT = 10


def add_sampling(parser: argparse.ArgumentParser) -> None:
    """Add the options of sampled batches; one that is not given is None."""
    default = Sampling()
    group = parser.add_argument_group(f"with --parallel {' or '.join(SAMPLED_MODES)}")
    group.add_argument(
        "--sampler", choices=SAMPLERS,
        help=f"which edges a batch keeps; default {default.sampler}",
    )  # fmt: skip
    group.add_argument(
        "--fanout", type=_numbers, metavar="N,N",
        help="edges kept into a vertex, of each layer, the one next to the input first; "
        f"default {FANOUT} of each",
    )  # fmt: skip
    helps = {
        "batch": "training nodes of each worker in a step, or clusters; default %s",
        "kappa": "steps after which nothing is left of a sampler's draws; default %s",
        "clusters": "METIS parts of --sampler cluster",
        "cache": "rows of features that each worker holds from step to step; default %s",
    }
    for name, text in helps.items():
        group.add_argument(
            f"--{name.replace('_', '-')}", type=int, metavar="N",
            help=text.replace("%s", str(getattr(default, name))),
        )  # fmt: skip
    group.add_argument(
        "--ahead", action=argparse.BooleanOptionalAction,
        help="make the next batch while the device runs; the default",
    )  # fmt: skip


def sampling_of(options: argparse.Namespace) -> Sampling | None:
    """Return how to sample; None in modes that do not."""
    given: dict[str, Any] = {
        name: getattr(options, name) for name in NAMES if getattr(options, name) is not None
    }
    if options.parallel not in SAMPLED_MODES:
        for name in given:
            if name not in SHARED:
                raise ConfigError(
                    f"{_told(name, given[name])} is for sampled batches; try --parallel minibatch"
                )
        return None
    if given.get("sampler") != "cluster":
        given.setdefault("fanout", (FANOUT,) * options.layers)
    return Sampling(**given)


def _told(name: str, value: Any) -> str:
    """Return an option as it was given."""
    word = name.replace("_", "-")
    if type(value) is bool:
        return f"--{word}" if value else f"--no-{word}"
    return f"--{word} {','.join(map(str, value)) if type(value) is tuple else value}"


def _numbers(text: str) -> tuple[int, ...]:
    return tuple(int(part) for part in text.split(","))
