# SPDX-License-Identifier: Apache-2.0
"""How long a row of many edges takes beyond streaming them: A3."""

import argparse
from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
from scipy.sparse import csr_array

from gcnloom.device import Device
from gcnloom.device import open as open_device
from gcnloom.lower.multiply import lower_spmm
from gcnloom.programs.program import Program
from gcnloom_sim.cycles import predict
from gcnloom_sim.measure.statements.measured import Measured, Say
from gcnloom_spec.commands import Aggregate, Command, Drain, Load
from gcnloom_spec.config import AcceleratorConfig
from gcnloom_spec.isa import Target, Unit

__all__ = ["Hub", "finished_rows", "hub", "sized"]

DEGREES = tuple(1 << power for power in range(7, 15))
PES = (1, 2, 4, 8, 16)
MOST = 2.5
RESULTS = (Unit.DRAIN, Unit.STORE)


@dataclass(frozen=True, kw_only=True)
class Hub:
    """One row multiplied by itself.

    Attributes
    ----------
    pes, degree : int
    beats : int
        Of the aggregates: edges of the element that has most, and idle ones.
    chunks : int
        Partial sums that the row is split into.
    cycles : int
        Of the whole program, loads included.
    streaming : int
        Of the program without what follows the last edge: no partial sum leaves.
    """

    pes: int
    degree: int
    beats: int
    chunks: int
    cycles: int
    streaming: int

    @property
    def extra(self) -> int:
        """Cycles beyond streaming: what joining takes, and beats that are no even share."""
        return self.cycles - self.streaming + self.beats - -(-self.degree // self.pes)


def sized(pes: int, name: str = "mul128") -> AcceleratorConfig:
    """Return a configuration with so many processing elements."""
    return replace(AcceleratorConfig.from_toml(name), pes=pes)


def hub(degree: int, device: Device, *, run: bool) -> Hub:
    """Multiply a row of ones; cycles are the device's if it is to `run`, else predicted."""
    config = device.config
    row = csr_array(np.ones((1, degree), dtype=np.int64))
    with device.memory.scratch():
        product = lower_spmm(
            row, np.ones((degree, config.lanes), dtype=np.int64), config, device.memory
        )
        for address, data in product.blobs:
            device.write_bytes(address, data)
        cycles = [
            device.run(program).counters["cycles"] if run else predict(program, config).cycles
            for program in (
                _delayed(product.program, config, results=results) for results in (True, False)
            )
        ]
    commands = product.program.commands
    return Hub(
        pes=config.pes, degree=degree, cycles=cycles[0], streaming=cycles[1],
        beats=sum(each.count for each in commands if isinstance(each, Aggregate)),
        chunks=sum(each.count for each in commands if isinstance(each, Drain)),
    )  # fmt: skip


def finished_rows(options: argparse.Namespace, say: Say) -> Measured:
    """A3: cycles beyond streaming of a row of 2 ** 14 edges over those of 2 ** 7."""
    cells: list[tuple[object, ...]] = []
    ratios = {}
    for device in _devices(options):
        say(f"rows on {device.config.pes} elements")
        found = [hub(degree, device, run=options.device != "model") for degree in DEGREES]
        cells += [
            (each.pes, f"{each.degree:,}", each.chunks, f"{each.beats:,}", f"{each.streaming:,}",
             f"{each.cycles:,}", each.extra)
            for each in found
        ]  # fmt: skip
        ratios[device.config.pes] = found[-1].extra / found[0].extra
    missed = [pes for pes, ratio in ratios.items() if ratio > MOST]
    return Measured(
        header=("PEs", "degree", "chunks", "beats", "streaming", "cycles", "extra"),
        rows=cells, held=[ratio <= MOST for ratio in ratios.values()],
        asked=f"cycles beyond streaming, degree 2^14 over 2^7: <= {MOST}",
        measured=", ".join(f"{ratio:.2f} on {pes} PEs" for pes, ratio in ratios.items()),
        why=f"on {', '.join(map(str, missed))} PEs beats are lost where tiles of a single row "
        "meet, as there are no other edges to put between" if missed else "",
    )  # fmt: skip


def _delayed(program: Program, config: AcceleratorConfig, *, results: bool) -> Program:
    """Put a long load before a program, as a run lasts until the statistics are cleared.

    Without `results` drains, their orders and stores are left out, and tokens to and from them.
    """
    kept = -1 if results else ~sum(1 << unit for unit in RESULTS)
    numbers = [
        number for number, command in enumerate(program.commands)
        if results or not _is_result(command)
    ]  # fmt: skip
    commands = [
        replace(command, waits=command.waits & kept, signals=command.signals & kept)
        for command in (program.commands[number] for number in numbers)
    ]
    contents = {
        place: program.contents[number]
        for place, number in enumerate(numbers, start=1) if number in program.contents
    }  # fmt: skip
    delay = Load(target=Target.RIGHT, base=0, count=config.right_depth, address=0)
    return Program.of([delay, *commands], program.config_digest, contents)


def _is_result(command: Command) -> bool:
    return command.unit in RESULTS or (isinstance(command, Load) and command.target == Target.ORDER)


def _devices(options: argparse.Namespace) -> Iterator[Device]:
    """Models of several sizes, or the one device asked for."""
    if options.device != "model":
        with open_device(options.device, memory_megabytes=16) as device:
            yield device
        return
    for pes in PES:
        with open_device("model", sized(pes), memory_megabytes=16) as device:
            yield device
