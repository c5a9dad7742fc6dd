# SPDX-License-Identifier: Apache-2.0
"""The Verilated accelerator in this process, as a transport."""

import ctypes
from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from gcnloom.errors import DeviceError
from gcnloom.transport import NOTHING_JUDGED, Ended, Identity, Judged, Watch
from gcnloom.transport.interrupt import held_back
from gcnloom_sim.memory import Memory, memory_model, numbers
from gcnloom_sim.verilate import library
from gcnloom_spec.config import AcceleratorConfig
from gcnloom_spec.isa import COMMAND_BYTES
from gcnloom_spec.registers import (
    COUNTER_BASE,
    COUNTERS,
    IDENTITY,
    READ_CYCLES,
    REGISTERS,
    STATISTICS,
    Control,
    Status,
)

__all__ = ["RtlTransport", "open_rtl"]

CHUNK = 1 << 20
"""Cycles between looks at the keyboard; the watchdog waits for as long."""
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

    def scales(self) -> NDArray[np.int64]:
        """Read every tensor's scale."""
        table = np.zeros((3, STATISTICS), dtype=np.int64)
        for tensor in range(STATISTICS):
            self._set("statistic", tensor)
            table[:, tensor] = [self._register(name) for name in ("exponent", "wanted", "shift")]
        signed: NDArray[np.int64] = table.astype(np.uint32).astype(np.int32).astype(np.int64)
        return signed

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
        for name, value in (
            ("program_address", address),
            ("program_count", commands),
            ("seed", seed),
            ("step", step),
            ("worse", judged.worse),
            ("best_low", judged.best & 0xFFFFFFFF),
            ("best_high", judged.best >> 32),
            ("watchdog", CHUNK),
            ("control", Control.RUN | (Control.KEEP if keep else 0)),
        ):
            self._set(name, value)
        interrupted = False
        try:
            if watch is None:
                while self._library.gcnloom_run(self._handle, CHUNK):
                    pass
            else:
                interrupted = self._run_watched(watch)
        except BaseException:
            self._set("control", Control.ABANDON)
            while self._library.gcnloom_run(self._handle, CHUNK):
                pass
            raise
        self._check(commands)
        best = self._register("best_high") << 32 | self._register("best_low")
        return Ended(
            step=self._register("progress"), interrupted=interrupted,
            judged=Judged(best=best, worse=self._register("worse")),
        )  # fmt: skip

    def _run_watched(self, watch: Watch) -> bool:
        """Run to the end, or to that of an epoch if interrupted; return whether it was."""
        with held_back() as asked:
            finishing = False
            while self._library.gcnloom_run(self._handle, WATCHED):
                watch(self._register("progress"))
                if asked() and not finishing:
                    self._set("control", Control.FINISH)
                    finishing = True
            watch(self._register("progress"))
            return asked()

    def _check(self, commands: int) -> None:
        """Raise if the run that has ended went wrong."""
        if self._register("status") & Status.EXPIRED:
            raise DeviceError(self._diagnosis())
        if self._register("status") & Status.FAULT:
            raise DeviceError(
                f"the device stopped at an unknown opcode after {self._counter('commands')} of "
                f"{commands} commands ({COMMAND_BYTES} bytes each); lower the program again"
            )
        if self._register("status") & Status.HAZARD:
            raise DeviceError(
                "an edge came too soon after one of the same sum, or two read one operand bank, so "
                "that sums may be wrong; schedule the matrix again for this configuration"
            )
        fault = self._library.gcnloom_fault_address(self._handle)
        if fault != (1 << 64) - 1:
            raise DeviceError(
                f"the program reached word {fault}, beyond the device memory's "
                f"{self._memory.size // self._config.memory_bytes}; open it with more "
                "memory_megabytes"
            )

    def counters(self) -> dict[str, int]:
        """Read every performance counter of the last run."""
        return {name: self._counter(name) for name in COUNTERS}

    def statistics(self) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Read each tensor's envelope and saturations of the last run."""
        envelopes = np.zeros(STATISTICS, dtype=np.int64)
        saturations = np.zeros(STATISTICS, dtype=np.int64)
        for tensor in range(STATISTICS):
            self._set("statistic", tensor)
            high, low = self._register("envelope_high"), self._register("envelope_low")
            envelopes[tensor] = high << 32 | low
            saturations[tensor] = self._register("saturations")
        return envelopes, saturations

    def close(self) -> None:
        """Free the device; further calls are errors."""
        if self._handle:
            self._memory = np.zeros(0, dtype=np.uint8)
            self._library.gcnloom_delete(self._handle)
            self._handle = None

    def _set(self, name: str, value: int) -> None:
        self._library.gcnloom_write_register(self._handle, REGISTERS[name].address, value)

    def _register(self, name: str) -> int:
        return self._read(REGISTERS[name].address)

    def _counter(self, name: str) -> int:
        return self._read(COUNTER_BASE + list(COUNTERS).index(name))

    def _read(self, address: int) -> int:
        return int(self._library.gcnloom_read_register(self._handle, address, READ_CYCLES))

    def _diagnosis(self) -> str:
        counters = self.counters()
        waits = [name for name in COUNTERS if "_wait_" in name and counters[name] >= CHUNK // 2]
        return (
            f"the program hangs after {counters['cycles']} cycles and {counters['commands']} "
            f"commands ({', '.join(waits) or 'no unit waits for a token'}); the device was reset; "
            "check the program's tokens and its stores' counts"
        )
