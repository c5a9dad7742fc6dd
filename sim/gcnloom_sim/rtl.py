# SPDX-License-Identifier: Apache-2.0
"""The Verilated accelerator in this process, as a transport."""

import ctypes
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from gcnloom.errors import DeviceError
from gcnloom.transport import NOTHING_JUDGED, Ended, Identity, Judged, Watch
from gcnloom.transport.registers import WATCHDOG, Runs
from gcnloom_sim.memory import Memory, memory_model, numbers
from gcnloom_sim.verilate import library
from gcnloom_spec.config import AcceleratorConfig
from gcnloom_spec.registers import IDENTITY, READ_CYCLES, REGISTERS

__all__ = ["RtlBus", "RtlTransport", "open_rtl"]

WATCHED = 1 << 16
"""Cycles between looks at how far a run is."""

SIGNATURES = {
    "gcnloom_new": (ctypes.c_void_p, [ctypes.c_uint64, ctypes.c_uint32, ctypes.c_void_p]),
    "gcnloom_delete": (None, [ctypes.c_void_p]),
    "gcnloom_memory": (ctypes.c_void_p, [ctypes.c_void_p]),
    "gcnloom_fault_address": (ctypes.c_uint64, [ctypes.c_void_p]),
    "gcnloom_stall": (None, [ctypes.c_void_p, ctypes.c_uint32, ctypes.c_uint64]),
    "gcnloom_restart": (None, [ctypes.c_void_p]),
    "gcnloom_write_register": (None, [ctypes.c_void_p, ctypes.c_uint32, ctypes.c_uint32]),
    "gcnloom_read_register": (
        ctypes.c_uint32,
        [ctypes.c_void_p, ctypes.c_uint32, ctypes.c_uint32],
    ),
    "gcnloom_run": (ctypes.c_int, [ctypes.c_void_p, ctypes.c_uint64]),
}


def open_rtl(
    config: AcceleratorConfig,
    *,
    memory_megabytes: int = 64,
    memory: str | Memory = "ideal",
    latency: int | None = None,
    stall_per_mille: int = 0,
    seed: int = 1,
    progress: Callable[[str], None] = lambda _: None,
) -> "RtlTransport":
    """Open the RTL executor; builds the simulator on first use of a configuration.

    Parameters
    ----------
    config : AcceleratorConfig
    memory_megabytes : int
        Size of the simulated device memory.
    memory : str or Memory
        How long it takes, see :func:`gcnloom_sim.memory.memory_model`.
    latency : int, optional
        Cycles from a read request to its answer, instead of the latency in `memory`.
    stall_per_mille : int
        How often, of 1,000 cycles, each side of the memory port is not ready.
    seed : int
        Of the stalls.
    progress : callable
        Told a phrase when a stage of a build begins.
    """
    model = memory_model(memory, latency)
    return RtlTransport(
        config,
        library(config, progress=progress),
        memory_megabytes << 20,
        memory=model,
        stall_per_mille=stall_per_mille,
        seed=seed,
    )


class RtlTransport:
    """Device memory and registers of a Verilated accelerator.

    Parameters
    ----------
    config : AcceleratorConfig
    path : Path
        Shared library built for that configuration.
    memory_bytes : int
        Size of the device memory.
    memory : Memory
    stall_per_mille, seed : int
        See :func:`open_rtl`.
    """

    def __init__(
        self,
        config: AcceleratorConfig,
        path: Path,
        memory_bytes: int,
        *,
        memory: Memory,
        stall_per_mille: int,
        seed: int,
    ) -> None:
        self._library = ctypes.CDLL(str(path))
        for name, (result, arguments) in SIGNATURES.items():
            function = getattr(self._library, name)
            function.restype, function.argtypes = result, arguments
        words = memory_bytes // config.memory_bytes
        self._config = config
        listed = numbers(memory)
        model = (ctypes.c_uint32 * len(listed))(*listed)
        self._handle = self._library.gcnloom_new(words, config.memory_bytes, model)
        self._library.gcnloom_stall(self._handle, stall_per_mille, seed)
        buffer = (ctypes.c_uint8 * (words * config.memory_bytes)).from_address(
            self._library.gcnloom_memory(self._handle)
        )
        self._memory: NDArray[np.uint8] = np.ctypeslib.as_array(buffer)
        self._bus = RtlBus(self._library, self._handle)
        self._runs = Runs(self._bus)
        if self._register("identity") != IDENTITY:
            raise DeviceError("the simulated device does not answer; try removing the build cache")

    def identity(self) -> Identity:
        """Read what the device is."""
        digest = self._register("digest_high") << 32 | self._register("digest_low")
        return Identity(
            isa_version=self._register("isa_version"),
            config_digest=f"{digest:016x}",
            config=self._config,
            memory_words=self._memory.size // self._config.memory_bytes,
        )

    def write(self, address: int, data: bytes) -> None:
        """Write bytes from a word address on."""
        start = address * self._config.memory_bytes
        self._memory[start : start + len(data)] = np.frombuffer(data, dtype=np.uint8)

    def read(self, address: int, words: int) -> bytes:
        """Read whole words."""
        start = address * self._config.memory_bytes
        return self._memory[start : start + words * self._config.memory_bytes].tobytes()

    def run(
        self, address: int, commands: int, seed: int, step: int, *,
        judged: Judged = NOTHING_JUDGED, watch: Watch | None = None, keep: bool = False,
    ) -> Ended:  # fmt: skip
        """Run a program to its end.

        Raises
        ------
        DeviceError
            Nothing moves any more, an opcode is unknown, or an address is outside the memory.
        """
        self._library.gcnloom_restart(self._handle)
        ended = self._runs.run(address, commands, seed, step, judged=judged, watch=watch, keep=keep)
        fault = self._library.gcnloom_fault_address(self._handle)
        if fault != (1 << 64) - 1:
            raise DeviceError(
                f"the program reached word {fault}, beyond the device memory's "
                f"{self._memory.size // self._config.memory_bytes}; open it with more "
                "memory_megabytes"
            )

        return ended

    def counters(self) -> dict[str, int]:
        """Read every performance counter of the last run."""
        return self._runs.counters()

    def statistics(self) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Read each tensor's envelope and saturations of the last run."""
        return self._runs.statistics()

    def scales(self) -> NDArray[np.int64]:
        """Read every tensor's scale."""
        return self._runs.scales()

    def close(self) -> None:
        """Free the device; further calls are errors."""
        if self._handle:
            self._memory = np.zeros(0, dtype=np.uint8)
            self._library.gcnloom_delete(self._handle)
            self._handle = None

    def _register(self, name: str) -> int:
        (value,) = self._bus.read(REGISTERS[name].address, 1)
        return value


class RtlBus:
    """Registers of a Verilated accelerator, whose time passes only here.

    Parameters
    ----------
    library : ctypes.CDLL
    handle : int
        Of the device, as `gcnloom_new` returns it.
    """

    def __init__(self, library: ctypes.CDLL, handle: int) -> None:
        self._library, self._handle = library, handle

    def read(self, address: int, count: int) -> list[int]:
        """Read neighbouring registers."""
        return [
            int(self._library.gcnloom_read_register(self._handle, each, READ_CYCLES))
            for each in range(address, address + count)
        ]

    def write(self, address: int, values: Sequence[int]) -> None:
        """Write neighbouring registers."""
        for offset, value in enumerate(values):
            self._library.gcnloom_write_register(self._handle, address + offset, value)

    def read_selected(
        self, select: int, choices: Sequence[int], address: int, count: int
    ) -> list[list[int]]:
        """Write each choice to a register, and read neighbouring registers after each."""
        values = []
        for choice in choices:
            self.write(select, [choice])
            values.append(self.read(address, count))
        return values

    def start(self, control: int) -> None:
        """Start a run."""
        self.write(REGISTERS["control"].address, [control])

    def goes_on(self, *, watched: bool) -> bool:
        """Let so many cycles pass."""
        cycles = WATCHED if watched else WATCHDOG
        return bool(self._library.gcnloom_run(self._handle, cycles))
