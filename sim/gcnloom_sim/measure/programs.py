# SPDX-License-Identifier: Apache-2.0
"""Random programs on several executors: whether they leave the same bits, and what it took."""

import hashlib
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

import numpy as np

from gcnloom.device import Device
from gcnloom.device import open as open_device
from gcnloom_sim.random_programs import MEMORY_BYTES, random_program

__all__ = ["Left", "random_runs"]

COMMANDS = 40
"""Of a program."""


@dataclass(frozen=True, kw_only=True)
class Left:
    """What random programs left behind on one executor.

    Attributes
    ----------
    device : str
        As :func:`gcnloom.open` takes it.
    sha256 : str
        Of memory, statistics and scales after each program.
    cycles : int
        Of all programs; zero on an executor that counts none.
    seconds : float
        Running, without building the simulator.
    """

    device: str
    sha256: str
    cycles: int
    seconds: float


def random_runs(
    devices: Iterable[str], programs: int, progress: Callable[[str], None] = lambda _: None
) -> Iterator[Left]:
    """Run the same programs on each device in turn; one finds on chip what the last one left."""
    for name in devices:
        progress(f"{programs} programs on {name}")
        with open_device(name, memory_megabytes=1, progress=progress) as device:
            device.memory.allocate("data", MEMORY_BYTES // device.config.memory_bytes)
            digest, cycles, begin = hashlib.sha256(), 0, time.perf_counter()
            for seed in range(programs):
                cycles += _run(device, seed, digest.update)
            yield Left(
                device=name, sha256=digest.hexdigest(), cycles=cycles,
                seconds=time.perf_counter() - begin,
            )  # fmt: skip


def _run(device: Device, seed: int, note: Callable[[bytes], None]) -> int:
    memory, program = random_program(device.config, np.random.default_rng(seed), commands=COMMANDS)
    device.write_bytes(0, memory)
    result = device.run(program, seed=seed, step=seed)
    note(device.read_bytes(0, device.memory.words))
    for values in (result.envelopes, result.saturations, device.scales()):
        note(values.astype(np.int64).tobytes())
    return result.counters["cycles"]
