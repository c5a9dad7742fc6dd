# SPDX-License-Identifier: Apache-2.0
"""``python -m gcnloom_sim.measure minibatch STATEMENT``: options, and which rows they ask for."""

import argparse
import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path

from gcnloom.errors import DataError
from gcnloom.sampling.options import Sampling
from gcnloom_sim.measure.minibatch import sampling, training

__all__ = ["add_statements", "statement_rows"]

Say = Callable[[str], None]
Rows = Iterable[Sequence[object]]
Table = tuple[Sequence[str], Rows]
GRAPHS = ("rmat:16,16", "community:16384,50,64,8", "digits")
SAMPLERS = ("neighbour", "labor")
TRAINED = (*SAMPLERS, "cluster")


def add_statements(parser: argparse.ArgumentParser) -> None:
    """Add the options."""
    parser.add_argument("statement", choices=tuple(STATEMENTS), help="which of those of the docs")
    parser.add_argument("--data", nargs="+", help="graphs, as `gcnloom train` takes them")
    parser.add_argument("--samplers", nargs="+", help="neighbour, labor, cluster")
    parser.add_argument("--batch", type=int, default=256, help="seeds of a worker (256)")
    parser.add_argument("--clusters", type=int, default=60, help="METIS parts (60)")
    parser.add_argument("--seeds", type=int, default=3, help="trainings of each kind (3)")
    parser.add_argument(
        "--nodes", type=int, nargs="+", default=[16384, 32768, 65536, 131072],
        help="sizes of graphs in turn",
    )  # fmt: skip
    parser.add_argument("--device", default="model:mul144", help="(model:mul144)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write the table there")


def statement_rows(options: argparse.Namespace, say: Say) -> Table:
    """Header and rows of the statement asked for; written to a file at the end if asked to."""
    header, rows = STATEMENTS[options.statement](options, say)
    return header, rows if options.json is None else _kept(options, header, rows)


def _kept(options: argparse.Namespace, header: Sequence[str], rows: Rows) -> Iterator[list[str]]:
    """Pass on rows; write those so far after each, as some take long."""
    place = options.arguments.index("--json")
    words = options.arguments[:place] + options.arguments[place + 2 :]
    command = f"python -m gcnloom_sim.measure {' '.join(words)}"
    cells: list[list[str]] = []
    for row in rows:
        cells.append([str(cell) for cell in row])
        document = {"command": command, "header": list(header), "rows": cells}
        try:
            options.json.parent.mkdir(parents=True, exist_ok=True)
            options.json.write_text(json.dumps(document, indent=1, ensure_ascii=False) + "\n")
        except OSError as error:
            raise DataError(f"cannot write {options.json} ({error}); try another --json") from error
        yield cells[-1]


def _inputs(options: argparse.Namespace, say: Say) -> Table:
    return sampling.INPUTS, sampling.input_rows(
        options.data or GRAPHS, options.samplers or SAMPLERS, say
    )


def _cooperation(options: argparse.Namespace, say: Say) -> Table:
    return sampling.COOPERATION, sampling.cooperation_rows(
        options.data or GRAPHS[:2], options.samplers or SAMPLERS, options.batch, say
    )


def _draws(options: argparse.Namespace, say: Say) -> Table:
    return sampling.DRAWS, sampling.draw_rows(sampling.KAPPAS)


def _cache(options: argparse.Namespace, say: Say) -> Table:
    return sampling.CACHE, sampling.cache_rows(
        options.data or GRAPHS[:2], options.samplers or SAMPLERS, options.batch, say
    )


def _product(options: argparse.Namespace, say: Say) -> Table:
    return sampling.PRODUCT, sampling.product_rows(
        options.data or GRAPHS[:2], options.samplers or ("labor",), options.batch, say
    )


def _accuracy(options: argparse.Namespace, say: Say) -> Table:
    ways = _ways(options, TRAINED)
    rows = (
        row for data in options.data or ["digits"]
        for row in training.accuracy_rows(data, ways, options.seeds, options.device, say)
    )  # fmt: skip
    return training.ACCURACY, rows


def _dependence(options: argparse.Namespace, say: Say) -> Table:
    ways = _ways(options, ("labor",))
    rows = (
        row for data in options.data or ["digits"]
        for row in training.dependence_rows(data, ways, options.seeds, options.device, say)
    )  # fmt: skip
    return training.DEPENDENCE, rows


def _memory(options: argparse.Namespace, say: Say) -> Table:
    return training.MEMORY, training.memory_rows(
        options.nodes, options.samplers or SAMPLERS, options.batch, options.device, say
    )


def _ways(options: argparse.Namespace, default: Sequence[str]) -> list[Sampling]:
    return [
        training.sampling_of(name, options.batch, options.clusters)
        for name in options.samplers or default
    ]


STATEMENTS: dict[str, Callable[[argparse.Namespace, Say], Table]] = {
    "inputs": _inputs,
    "cooperation": _cooperation,
    "draws": _draws,
    "cache": _cache,
    "product": _product,
    "accuracy": _accuracy,
    "dependence": _dependence,
    "memory": _memory,
}
