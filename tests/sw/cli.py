# SPDX-License-Identifier: Apache-2.0
"""Running the command line in this process."""

import json
from dataclasses import dataclass

from gcnloom.cli import main

__all__ = ["MODEL", "Outcome", "run"]

MODEL = ["--device", "model", "--config", "odd", "--memory-megabytes", "8"]


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What a command left."""

    code: int
    out: str
    err: str

    def json(self):
        """Standard output as JSON, NaN and infinities refused."""
        return json.loads(self.out, parse_constant=lambda name: json.loads(f"bad {name}"))


def run(capsys, *arguments):
    """Run a command."""
    capsys.readouterr()
    try:
        code = main([str(argument) for argument in arguments])
    except SystemExit as stop:
        code = stop.code
    captured = capsys.readouterr()
    return Outcome(code=code, out=captured.out, err=captured.err)
