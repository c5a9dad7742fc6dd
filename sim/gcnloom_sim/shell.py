# SPDX-License-Identifier: Apache-2.0
"""The Verilated shell behind a pseudo-terminal: a board for a host that knows no better."""

import argparse
import ctypes
import os
import sys
import tempfile
import threading
import tty
from collections.abc import Callable, Sequence
from dataclasses import astuple, dataclass, fields
from pathlib import Path
from typing import Any

from gcnloom.errors import ConfigError, DeviceError, LoomError
from gcnloom.transport import configuration
from gcnloom_sim.memory import Memory, memory_model, numbers
from gcnloom_sim.verilate import TOP, Build, shared_library, sources_digest
from gcnloom_spec.config import AcceleratorConfig

__all__ = ["Faults", "Shell", "main", "open_shell", "serve_until_interrupted"]

CLOCK_HZ = 12_000_000
"""Four clocks a bit at the fastest rate of :data:`gcnloom_spec.link.RATES`."""
SERVED = 1 << 20
"""Clocks between looks at the keyboard."""
MILLION = 1_000_000
HARNESS = Path(__file__).with_name("shell.cpp")

SIGNATURES: dict[str, tuple[Any, list[Any]]] = {
    "new": (
        ctypes.c_void_p,
        [ctypes.c_uint64, ctypes.c_uint32, ctypes.c_void_p, ctypes.c_uint64],
    ),
    "delete": (None, [ctypes.c_void_p]),
    "faults": (None, [ctypes.c_void_p, ctypes.c_void_p, ctypes.c_uint64]),
    "happened": (ctypes.c_uint64, [ctypes.c_void_p]),
    "clocks": (ctypes.c_uint64, [ctypes.c_void_p]),
    "fault_address": (ctypes.c_uint64, [ctypes.c_void_p]),
    "serve": (None, [ctypes.c_void_p, ctypes.c_int, ctypes.c_uint64]),
}


@dataclass(frozen=True, kw_only=True)
class Faults:
    """What happens to bytes on the line, each to so many of a million, both ways.

    Attributes
    ----------
    flip : int
        A bit is another one.
    drop, duplicate, insert : int
        The byte is lost; it comes twice; another one comes before it.
    pause : int
        The line is silent for up to 2,000 bits, towards the device only.
    """

    flip: int = 0
    drop: int = 0
    duplicate: int = 0
    insert: int = 0
    pause: int = 0

    def __post_init__(self) -> None:
        for field in fields(self):
            if not 0 <= getattr(self, field.name) <= MILLION:
                raise ConfigError(
                    f"{field.name}={getattr(self, field.name)} is outside 0..{MILLION}; try 100"
                )


def open_shell(
    config: AcceleratorConfig,
    *,
    clock_hz: int = CLOCK_HZ,
    memory_megabytes: int = 16,
    memory: str | Memory = "ideal",
    buffer_bytes: int = 1024,
    payload_bytes: int = 256,
    progress: Callable[[str], None] = lambda _: None,
) -> "Shell":
    """Open a shell's simulator; builds it on first use.

    Parameters
    ----------
    config : AcceleratorConfig
    clock_hz : int
        Clock of the shell, which decides how many clocks a bit of the line takes.
    memory_megabytes : int
        Size of the simulated device memory.
    memory : str or Memory
        How long it takes, see :func:`gcnloom_sim.memory.memory_model`.
    buffer_bytes, payload_bytes : int
        See :class:`gcnloom_hw.link.config.LinkConfig`.
    progress : callable
        Told a phrase when a stage of a build begins.
    """
    words = (memory_megabytes << 20) // config.memory_bytes
    sizes = {"buffer_bytes": buffer_bytes, "payload_bytes": payload_bytes}

    def sources(folder: Path) -> list[Path]:
        from amaranth.back import verilog

        from gcnloom_hw.memory.kinds import External
        from gcnloom_hw.shell import SerialShell

        progress(f"generating Verilog for a shell around {config.multipliers} multipliers")
        design = SerialShell(config, clock_hz=clock_hz, memory=External(words=words), **sizes)
        source = folder / f"{TOP}.v"
        source.write_text(verilog.convert(design, name=TOP, emit_src=False), encoding="utf-8")
        return [source]

    key = (sources_digest(), config.digest, *map(str, (clock_hz, words, *sizes.values())))
    build = Build(top=TOP, sources=sources, key=key, harness=HARNESS)
    model = memory_model(memory)
    path = shared_library(build, "shell", progress=progress)
    return Shell(
        path, words=words, word_bytes=config.memory_bytes, memory=model, clock_hz=clock_hz,
    )  # fmt: skip


class Shell:
    """A shell that is simulated clock by clock, with a pseudo-terminal at the far end of its line.

    What the host sets as the terminal's rate is the rate of the far end's UART. While the line is
    silent and nothing runs, nothing is simulated. Several hosts may come one after the other.

    Parameters
    ----------
    path : Path
        Shared library with the C interface of ``shell.cpp``.
    words, word_bytes : int
        Of the device memory.
    memory : Memory
    clock_hz : int

    Attributes
    ----------
    port : str
        Name of the terminal, the same one each time the cable is plugged in.
    """

    def __init__(
        self, path: Path, *, words: int, word_bytes: int, memory: Memory, clock_hz: int
    ) -> None:
        self._library = ctypes.CDLL(str(path))
        for name, (result, arguments) in SIGNATURES.items():
            function = getattr(self._library, f"gcnloom_shell_{name}")
            function.restype, function.argtypes = result, arguments
        listed = numbers(memory)
        model = (ctypes.c_uint32 * len(listed))(*listed)
        self._handle = self._library.gcnloom_shell_new(words, word_bytes, model, clock_hz)
        self._ending = threading.Event()
        self._thread: threading.Thread | None = None
        self._folder = tempfile.TemporaryDirectory(prefix="gcnloom-")
        self.port = str(Path(self._folder.name) / "line")
        self._master = self._slave = -1
        self._open_terminal()

    def _open_terminal(self) -> None:
        self._master, self._slave = os.openpty()
        # This end stays open, so that a host that goes away is no hang-up.
        tty.setraw(self._slave)
        os.set_blocking(self._master, False)
        Path(self.port).symlink_to(os.ttyname(self._slave))

    def _close_terminal(self) -> None:
        if self._master >= 0:
            Path(self.port).unlink()
            os.close(self._slave)
            os.close(self._master)
            self._master = self._slave = -1

    def faults(self, faults: Faults, *, seed: int = 1) -> None:
        """Let faults happen from now on."""
        listed = astuple(faults)
        self._library.gcnloom_shell_faults(
            self._handle, (ctypes.c_uint32 * len(listed))(*listed), seed
        )

    @property
    def happened(self) -> int:
        """Faults since they were set."""
        return int(self._library.gcnloom_shell_happened(self._handle))

    @property
    def clocks(self) -> int:
        """Clocks simulated so far."""
        return int(self._library.gcnloom_shell_clocks(self._handle))

    def serve(self, clocks: int = SERVED) -> None:
        """Simulate so many clocks, or sleep for a moment if there is nothing to do."""
        self._library.gcnloom_shell_serve(self._handle, self._master, clocks)
        if self._library.gcnloom_shell_fault_address(self._handle) != (1 << 64) - 1:
            raise DeviceError(
                "a program reached beyond the device memory; try more memory_megabytes"
            )

    def __enter__(self) -> "Shell":
        self._thread = threading.Thread(target=self._serve_on, daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _serve_on(self) -> None:
        while not self._ending.is_set():
            self.serve(SERVED >> 4)

    def unplug(self) -> None:
        """Pull the cable: the terminal goes away, the device goes on."""
        self._between(self._close_terminal)

    def plug_in(self) -> None:
        """Put the cable in again: another terminal behind the same name."""
        self._between(self._open_terminal)

    def _between(self, change: Callable[[], None]) -> None:
        """Change something while nothing is simulated."""
        running = self._thread is not None
        self._halt()
        change()
        if running:
            self.__enter__()

    def _halt(self) -> None:
        if self._thread is not None:
            self._ending.set()
            self._thread.join()
            self._ending.clear()
            self._thread = None

    def close(self) -> None:
        """Free the simulator and its terminal."""
        self._halt()
        if self._handle:
            self._library.gcnloom_shell_delete(self._handle)
            self._handle = None
            self._close_terminal()
            self._folder.cleanup()


def serve_until_interrupted(opened: Callable[[], Shell]) -> int:
    """Open a shell, name its port and serve it; return the exit code of a command line."""
    try:
        shell = opened()
        print(f"serial://{shell.port}", flush=True)
        while True:
            shell.serve()
    except (LoomError, OSError, ValueError) as error:
        print(f"gcnloom: error: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        return 0


def main(arguments: Sequence[str] | None = None) -> int:
    """Serve a configuration's shell until the keyboard interrupts."""
    parser = argparse.ArgumentParser(prog="python -m gcnloom_sim.shell", description=__doc__)
    parser.add_argument("config", help="name of a shipped configuration, or a TOML file")
    parser.add_argument("--clock-hz", type=int, default=CLOCK_HZ, help="default: %(default)s")
    parser.add_argument("--memory", default="ideal", help="how long the device memory takes")
    parser.add_argument("--memory-megabytes", type=int, default=16)
    parser.add_argument("--seed", type=int, default=1, help="of the faults")
    for field in fields(Faults):
        parser.add_argument(
            f"--{field.name}", type=int, default=0, metavar="N",
            help=f"{field.name} N of a million bytes",
        )  # fmt: skip
    given = parser.parse_args(arguments)

    def opened() -> Shell:
        shell = open_shell(
            configuration(given.config), clock_hz=given.clock_hz, memory=given.memory,
            memory_megabytes=given.memory_megabytes,
            progress=lambda phrase: print(phrase, file=sys.stderr),
        )  # fmt: skip
        faults = Faults(**{field.name: getattr(given, field.name) for field in fields(Faults)})
        shell.faults(faults, seed=given.seed)
        return shell

    return serve_until_interrupted(opened)


if __name__ == "__main__":
    sys.exit(main())
