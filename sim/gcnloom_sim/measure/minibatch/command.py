# SPDX-License-Identifier: Apache-2.0
"""``python -m gcnloom_sim.measure minibatch STATEMENT``: options, tables, and what they say."""

import argparse
import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

from gcnloom.errors import DataError
from gcnloom_sim.measure.minibatch import bits, findings, memory, sampling, training, waiting
from gcnloom_sim.measure.minibatch.figure import Figure
from gcnloom_sim.measure.minibatch.findings import Claim

__all__ = ["add_statements", "statement_rows"]

Say = Callable[[str], None]
Rows = Iterable[Sequence[object]]
Table = tuple[Sequence[str], Rows]
GRAPHS = ("rmat:16,16", "community:16384,50,64,8", "digits")
SAMPLERS = ("neighbour", "labor")
TRAINED = (*SAMPLERS, "cluster")
BATCH = 256
PLACES = ("--json", "--findings")


def add_statements(parser: argparse.ArgumentParser) -> None:
    """Add the options."""
    parser.add_argument("statement", choices=tuple(STATEMENTS), help="which of those of the docs")
    parser.add_argument("--data", nargs="+", help="graphs, as `gcnloom train` takes them")
    parser.add_argument("--trained", nargs="*", default=["digits"], help="likewise, to train on")
    parser.add_argument("--samplers", nargs="+", help="neighbour, labor, cluster")
    parser.add_argument(
        "--batch", type=int,
        help=f"seeds of a worker; default {BATCH}, of trainings half of the training nodes",
    )  # fmt: skip
    parser.add_argument("--layers", type=int, default=2, help="of blocks not trained on (2)")
    parser.add_argument("--clusters", type=int, default=60, help="METIS parts (60)")
    parser.add_argument("--seeds", type=int, default=3, help="trainings of each kind (3)")
    parser.add_argument(
        "--nodes", type=int, nargs="+", default=[65536, 524288], help="sizes of graphs in turn"
    )
    parser.add_argument("--degree", type=int, default=20, help="neighbours of their nodes (20)")
    parser.add_argument("--fanout", type=int, default=5, help="of these (5)")
    parser.add_argument(
        "--device", nargs="+", default=["model:mul144"], help="of trainings (model:mul144)"
    )
    parser.add_argument("--clock", type=float, default=60e6, help="of a board, in Hz (60e6)")
    parser.add_argument("--baud", type=float, default=3e6, help="of its line (3e6)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write the table there")
    parser.add_argument("--findings", type=Path, metavar="FOLDER", help="write what it says there")
    parser.add_argument(
        "--kept", type=Path, nargs="+", metavar="FILE", help="tables to judge instead of measuring"
    )


def statement_rows(options: argparse.Namespace, say: Say) -> Table:
    """Header and rows of the statement asked for; kept as they come if asked to."""
    statement = STATEMENTS[options.statement]
    if options.kept:
        rows, command = _read(options, statement.header)
        return statement.header, _judged(options, statement, rows, command)
    rows = _written(options, statement.header, statement.rows(options, say))
    return statement.header, _judged(options, statement, rows, _command(options))


def _judged(
    options: argparse.Namespace, statement: "_Statement", rows: Rows, command: str
) -> Iterator[Sequence[object]]:
    """Pass on rows; write findings at the end if asked to."""
    done: list[Sequence[object]] = []
    for row in rows:
        done.append(row)
        yield row
    for claim in statement.claims if options.findings is not None else ():
        claim.finding(done, command).save(options.findings)


def _written(
    options: argparse.Namespace, header: Sequence[str], rows: Rows
) -> Iterator[Sequence[object]]:
    """Pass on rows; write those so far after each if asked to, as some take long."""
    done: list[Sequence[object]] = []
    for row in rows:
        done.append(row)
        if options.json is not None:
            _write(options, header, done)
        yield row


def _read(options: argparse.Namespace, header: Sequence[str]) -> tuple[Rows, str]:
    """Rows of tables kept earlier, one after the other, and the commands that measured them."""
    rows: list[Sequence[object]] = []
    commands = []
    for path in options.kept:
        try:
            document = json.loads(path.read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise DataError(f"cannot read {path} ({error}); try another --kept") from error
        if document["header"] != list(header):
            raise DataError(
                f"{path} is no table of {options.statement}; try one with {', '.join(header)}"
            )
        rows += [[Figure.read(cell) for cell in row] for row in document["rows"]]
        commands.append(document["command"])
    return rows, " && ".join(commands)


def _write(options: argparse.Namespace, header: Sequence[str], rows: Rows) -> None:
    cells = [[str(cell) for cell in row] for row in rows]
    document = {"command": _command(options), "header": list(header), "rows": cells}
    try:
        options.json.parent.mkdir(parents=True, exist_ok=True)
        options.json.write_text(json.dumps(document, indent=1, ensure_ascii=False) + "\n")
    except OSError as error:
        raise DataError(f"cannot write {options.json} ({error}); try another --json") from error


def _command(options: argparse.Namespace) -> str:
    """Return what measures it again, wherever files of graphs lie and results are kept."""
    words, skip = [], False
    for word in options.arguments:
        if not skip and word not in PLACES:
            words.append(Path(word).name if word.endswith(".npz") else word)
        skip = word in PLACES
    return f"python -m gcnloom_sim.measure {' '.join(words)}"


def _inputs(options: argparse.Namespace, say: Say) -> Rows:
    return sampling.input_rows(
        options.data or GRAPHS, options.samplers or SAMPLERS, options.layers, say
    )


def _cooperation(options: argparse.Namespace, say: Say) -> Rows:
    return sampling.cooperation_rows(
        options.data or GRAPHS[:2], options.samplers or SAMPLERS, options.batch or BATCH,
        options.layers, say,
    )  # fmt: skip


def _bits(options: argparse.Namespace, say: Say) -> Rows:
    return bits.bit_rows(options.data or ["sbm:60,3"], options.device, (2, 4), say)


def _draws(options: argparse.Namespace, say: Say) -> Rows:
    return sampling.draw_rows(sampling.KAPPAS)


def _cache(options: argparse.Namespace, say: Say) -> Rows:
    return sampling.cache_rows(
        options.data or GRAPHS[:2], options.samplers or ("labor",), options.batch or BATCH,
        options.layers, sampling.KAPPAS, say,
    )  # fmt: skip


def _product(options: argparse.Namespace, say: Say) -> Rows:
    return sampling.product_rows(
        options.data or GRAPHS[:2], options.samplers or ("labor",), options.batch or BATCH,
        options.layers, say,
    )  # fmt: skip


def _accuracy(options: argparse.Namespace, say: Say) -> Rows:
    return training.accuracy_rows(
        options.data or ["digits"], _choices(options, TRAINED), options.seeds, options.device[0],
        say,
    )  # fmt: skip


def _dependence(options: argparse.Namespace, say: Say) -> Rows:
    """Bytes of graphs that nothing is trained on, then accuracies."""
    kappas = sampling.KAPPAS[0], sampling.KAPPAS[-1]
    fetched = sampling.cache_rows(
        options.data or GRAPHS[:2], options.samplers or ("labor",), BATCH, options.layers, kappas,
        say,
    )  # fmt: skip
    untrained = ((row[0], row[2], row[4], "", "", "", *row[6:]) for row in fetched)
    trained = training.dependence_rows(
        options.trained, _choices(options, ("labor",)), kappas, options.seeds, options.device[0],
        say,
    )  # fmt: skip
    return chain(untrained, trained)


def _memory(options: argparse.Namespace, say: Say) -> Rows:
    return memory.memory_rows(
        options.nodes, options.degree, options.samplers or SAMPLERS, options.batch or 32,
        options.fanout, options.device[0], say,
    )  # fmt: skip


def _waiting(options: argparse.Namespace, say: Say) -> Rows:
    return waiting.waiting_rows(
        options.data or ["digits"], lambda graph: options.batch or training.half_of(graph),
        options.device, options.clock, options.baud, say,
    )  # fmt: skip


def _choices(options: argparse.Namespace, default: Sequence[str]) -> list[training.Choice]:
    return [
        training.Choice(sampler=name, batch=options.batch, clusters=options.clusters)
        for name in options.samplers or default
    ]


@dataclass(frozen=True, kw_only=True)
class _Statement:
    """A table, and what it says."""

    header: Sequence[str]
    rows: Callable[[argparse.Namespace, Say], Rows]
    claims: tuple[Claim, ...] = ()


def _claim(
    statement: str, asked: str, enough: int, judge: Callable[[findings.Rows], tuple[str, list[str]]]
) -> tuple[Claim, ...]:
    return (Claim(statement=statement, asked=asked, enough=enough, judge=judge),)


STATEMENTS = {
    "inputs": _Statement(
        header=sampling.INPUTS, rows=_inputs,
        claims=_claim(
            "B1", "per seed no more as a batch grows, concave; 2 samplers, 3 graphs", 6,
            findings.inputs,
        ),
    ),
    "cooperation": _Statement(
        header=sampling.COOPERATION, rows=_cooperation,
        claims=_claim("B2", "≥ 1.4, 2, 3 times fewer at P = 2, 4, 8", 2, findings.cooperation),
    ),
    "bits": _Statement(
        header=bits.BITS, rows=_bits,
        claims=(
            *_claim("B3", "the same bits", 2, findings.bits),
            *_claim("C1", "≥ 3 samplers and the full graph", 4, findings.samplers),
        ),
    ),
    "draws": _Statement(
        header=sampling.DRAWS, rows=_draws,
        claims=_claim("B4", "p > 0.01 on 10⁶ draws; ± 0.01", 5, findings.draws),
    ),
    "cache": _Statement(header=sampling.CACHE, rows=_cache),
    "dependence": _Statement(
        header=training.DEPENDENCE, rows=_dependence,
        claims=_claim(
            "B5", "≥ 2.5 times fewer bytes at κ = 256, cache of 1.25 working sets; ± 0.3 points",
            2, findings.dependence,
        ),
    ),
    "product": _Statement(
        header=sampling.PRODUCT, rows=_product,
        claims=_claim("B6", "≥ 0.8 of the product", 2, findings.product),
    ),
    "accuracy": _Statement(
        header=training.ACCURACY, rows=_accuracy,
        claims=_claim("C2", "gap ≤ 0.9 points", 8, findings.accuracy),
    ),
    "memory": _Statement(
        header=memory.MEMORY, rows=_memory,
        claims=_claim("C3", "± 10 % as nodes grow 8 times", 4, findings.memory),
    ),
    "waiting": _Statement(
        header=waiting.WAITING, rows=_waiting,
        claims=_claim("C4", "≤ 10 % of the time", 2, findings.waiting),
    ),
}  # fmt: skip
