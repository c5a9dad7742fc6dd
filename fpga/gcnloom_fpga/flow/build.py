# SPDX-License-Identifier: Apache-2.0
"""Build a board: plan, synthesise, route, pack, report."""

import json
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gcnloom_fpga.flow.document import document, shortcomings
from gcnloom_fpga.flow.picture import floorplan_picture
from gcnloom_fpga.flow.progress import Narrator
from gcnloom_fpga.flow.routing import Routed, route
from gcnloom_fpga.flow.synthesis import synthesise
from gcnloom_fpga.top.board import BoardTop
from gcnloom_spec.config import AcceleratorConfig
from gcnloom_spec.toolchain import ToolError, built_config

__all__ = ["PICTURE", "REPORT", "Build", "build"]

REPORT = "report.json"
PICTURE = "floorplan.svg"


@dataclass(frozen=True, kw_only=True)
class Build:
    """What to build.

    Parameters
    ----------
    top : BoardTop
    config : AcceleratorConfig
        Of the accelerator in it.
    seeds : Sequence[int]
        One build of each, the fastest of which is kept; none to stop after synthesis.
    output : Path
        Folder for the bitstream, the report and a picture.
    command : str
        As the report will tell it.
    """

    top: BoardTop
    config: AcceleratorConfig
    seeds: Sequence[int]
    output: Path
    command: str


def build(plan: Build, narrator: Narrator) -> dict[str, Any]:
    """Build, write what came of it, and return the report.

    Raises
    ------
    ToolError
        A tool is missing or failed; or the design is over the board's budget, or too slow. Then
        there is a report but no bitstream.
    """
    top = plan.top
    plan.output.mkdir(parents=True, exist_ok=True)
    for stale in (*plan.output.glob("top.*"), plan.output / PICTURE):
        stale.unlink(missing_ok=True)
    synthesised = synthesise(top.netlist(), top.board.part, narrator)
    routed: list[Routed] = []

    def report() -> dict[str, Any]:
        result = document(
            board=top.board, config=plan.config, plan=top.plan, synthesised=synthesised,
            routed=routed, command=plan.command,
        )  # fmt: skip
        text = json.dumps(result, indent=2) + "\n"
        (plan.output / REPORT).write_text(text, encoding="utf-8")
        problem = shortcomings(result)
        if problem:
            raise ToolError(problem)
        return result

    # What is over budget now need not be placed to know.
    result = report()
    for seed in plan.seeds:
        routed.append(route(synthesised, top, seed=seed, hertz=top.plan.hertz, narrator=narrator))
    narrator.close()
    if routed:
        best = max(routed, key=lambda each: each.fmax)
        picture = floorplan_picture(best.placed, title=f"{top.board.title}, seed {best.seed}")
        (plan.output / PICTURE).write_text(picture, encoding="utf-8")
        result = report()
        shutil.copy(best.product, plan.output)
        # A host that meets the board finds its configuration by the digest.
        built_config(plan.config.digest).write_text(plan.config.to_toml(), encoding="utf-8")
    return result
