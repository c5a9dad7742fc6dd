# SPDX-License-Identifier: Apache-2.0
"""A training's result for people."""

from pathlib import Path
from typing import Any

from gcnloom.cli.progress import bar
from gcnloom.parallel.rounds import GIST

__all__ = ["report"]

NAMES = {"gcn": "GCN", "sage": "GraphSAGE", "gin": "GIN"}
SPLITS = {"train": "training", "val": "validation", "test": "test"}


def report(document: dict[str, Any], *, full: bool, json: str | None) -> str:
    """Text of a result; `full` adds comparison, units and files."""
    lines = _heading(document) if full else []
    lines += _accuracy(document, full=full)
    if full:
        lines += _work(document)
    if document["host_bytes_per_epoch"] is not None:
        moved = document["host_bytes_per_epoch"]
        lines.append(f"update       on the device: {moved:.0f} bytes an epoch to the host")
    if document["cycles"]["total"]:
        lines += _cycles(document)
        if full:
            lines += _units(document)
    if "parallel" in document:
        lines += _parallel(document["parallel"])
    lines += _time(document, full=full)
    lines += _files(document, json)
    return "\n".join(lines)


def _heading(document: dict[str, Any]) -> list[str]:
    options = document["options"]
    model = NAMES[options["model"]] + (" with residuals" if options["residual"] else "")
    products = document["layers"] * (2 if options["model"] == "gin" else 1)
    hidden = [options["hidden"]] * (products - 1)
    widths = "-".join(str(width) for width in (document["features"], *hidden, document["classes"]))
    stopped = ", stopped early" if document["stopped_early"] else ""
    return [
        "",
        (
            f"{model} {widths} on {document['data']} "
            f"({document['nodes']:,} nodes, {document['edges']:,} edges)"
        ),
        (
            f"{document['device']} of configuration {document['config']} "
            f"({document['multipliers']} multipliers), {document['epochs']} epochs{stopped}, "
            f"seed {document['seed']}"
        ),
        "",
    ]


def _accuracy(document: dict[str, Any], *, full: bool) -> list[str]:
    accuracies = document["accuracy"]
    if not full:
        parts = [
            f"{name} {100 * value:.1f} %"
            for name, value in ((SPLITS[split], accuracies[split]) for split in SPLITS)
            if value is not None
        ]
        return [f"accuracy     {', '.join(parts)}"]
    if accuracies["test"] is None:
        return ["test accuracy  unknown: the graph has no test nodes"]
    name = NAMES[document["options"]["model"]]
    rows = [(f"{name} on the accelerator", accuracies["test"])]
    rows += [("logistic regression", document["baseline"]["logistic_regression"])]
    return ["test accuracy"] + [
        f"  {name:<24}{100 * value:5.1f} %  {bar(value, 40)}" for name, value in rows
    ]


def _work(document: dict[str, Any]) -> list[str]:
    """Return a line about what of the graph and of its multiplications an epoch needs."""
    epoch, inputs = document["macs"]["per_epoch"], document["receptive_field"][0]
    share = epoch["necessary"] / epoch["unsampled"]
    if not document["options"]["sampled"]:
        work = f"{epoch['unsampled']:,} MACs an epoch; the loss sees {inputs:,} nodes"
        return [f"sampling     off: {work}"]
    return [
        (
            f"sampling     {epoch['necessary']:,} MACs an epoch, {100 * share:.1f} % of "
            f"{epoch['unsampled']:,}; the loss sees {inputs:,} of {document['nodes']:,} nodes"
        )
    ]


def _cycles(document: dict[str, Any]) -> list[str]:
    macs, cycles = document["macs"], document["cycles"]
    # A finished training that is resumed has no epochs of its own.
    epoch = f"{cycles['per_epoch']:,} an epoch, " if cycles["per_epoch"] else ""
    return [
        f"cycles       {epoch}{cycles['total']:,} in all",
        (
            f"utilisation  {100 * document['effective_utilisation']:.1f} %: "
            f"{macs['necessary']:,} necessary MACs over all cycles of "
            f"{document['multipliers']} multipliers"
        ),
    ]


def _units(document: dict[str, Any]) -> list[str]:
    """Return a table of what each unit does in how many of all cycles."""
    total = document["cycles"]["total"]
    lines = ["", f"  {'unit':<10} {'active':>7} {'stalled':>8}  next waits for"]
    for unit, cycles in document["units"].items():
        waits = [
            f"{name.removeprefix('wait_')} {100 * count / total:.0f} %"
            for name, count in cycles.items()
            if name.startswith("wait_") and count * 100 >= total
        ]
        active, stalled = (100 * cycles[name] / total for name in ("active", "stalled"))
        lines.append(f"  {unit:<10} {active:5.1f} % {stalled:6.1f} %  {', '.join(waits)}".rstrip())
    moved = document["bytes"]
    per_cycle = (moved["read"] + moved["written"]) / total
    lines += ["", f"memory       {per_cycle:.2f} bytes a cycle: {_streams(moved)}"]
    return lines


def _streams(moved: dict[str, int]) -> str:
    total = moved["read"] + moved["written"]
    names = [name for name in moved if name not in ("read", "written")]
    names.sort(key=lambda name: -moved[name])
    return ", ".join(f"{name} {100 * moved[name] / total:.0f} %" for name in names[:5])


def _parallel(parallel: dict[str, Any]) -> list[str]:
    """Return a table of what workers send each other, and how evenly work is dealt."""
    mode, what = f"{parallel['mode']}, {parallel['workers']} workers", "the last epoch"
    rounds = parallel["mode"] == GIST
    if rounds:
        mode += f", {parallel['rounds']} rounds of {parallel['local_iterations']} epochs each"
        what = "a round"
    moved = parallel["bytes_per_round" if rounds else "bytes_per_epoch"]
    total = {name: sum(kind[name] for kind in moved.values()) for name in ("measured", "formula")}
    rows = {kind: numbers for kind, numbers in moved.items() if any(numbers.values())}
    lines = [
        f"parallel     {mode}; bytes of {what}",
        f"  {'messages':<14} {'measured':>12} {'formula':>14}",
    ]
    lines += [
        f"  {kind:<14} {numbers['measured']:>12,.0f} {numbers['formula']:>14,.1f}"
        for kind, numbers in (rows | {"total": total}).items()
    ]
    parts = [
        f"{name.replace('_', ' ').replace('macs', 'MACs')} {ratio:.3f}"
        for name, ratio in parallel["imbalance"].items()
    ]
    lines.append(f"largest/mean {', '.join(parts)}")
    if parallel.get("overlap", {}).get("hidden"):
        hidden, ages = parallel["overlap"]["hidden"], parallel["staleness"]["exchanges"]
        lines.append(
            f"overlap      {hidden:,} bytes while devices multiplied; what came was at most "
            f"{max(map(int, ages))} epochs old"
        )
    if "features" in parallel:
        moved = parallel["features"]
        lines.append(
            f"features     {moved['fetched']:,} of {moved['asked']:,} rows fetched, "
            f"{moved['fetched_bytes']:,} bytes; the others were held"
        )
        seconds = parallel["batches"]
        lines.append(
            f"batches      made in {seconds['making']:.1f} s, waited for {seconds['waited']:.1f} s"
        )
    return lines


def _time(document: dict[str, Any], *, full: bool) -> list[str]:
    seconds = document["seconds"]
    line = (
        f"time         {seconds['total']:.1f} s: build {seconds['build']:.1f}, "
        f"device {seconds['device']:.1f}, host {seconds['host']:.1f}"
    )
    cycles = document["cycles"]["total"]
    if full and cycles:
        line += f" ({cycles / seconds['device'] / 1000:,.0f} thousand cycles a second)"
    clipped = f"rounding     {document['saturations']:,} results clipped"
    if document["lost_edges"]:
        clipped += f", {document['lost_edges']:,} edges too light for the operand width"
    lines = [line, clipped]
    for name, count in document["clipped_weights"].items():
        lines.append(
            f"overflow     {count:,} steps of {name} did not fit their {document['master_width']} "
            "bits; try --update host, a smaller --lr, more --weight-decay or a larger "
            "master_width"
        )
    return lines


def _files(document: dict[str, Any], json: str | None) -> list[str]:
    lines = [f"checkpoint   {Path(document['checkpoint'])}"]
    if json:
        lines.append(f"numbers      {json}")
    return lines
