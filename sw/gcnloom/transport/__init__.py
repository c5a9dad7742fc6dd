# SPDX-License-Identifier: Apache-2.0
"""Transports: how the host reaches a device; found by name through entry points."""

from dataclasses import dataclass
from importlib.metadata import EntryPoint, entry_points
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from gcnloom.errors import ConfigError, DeviceError
from gcnloom_spec.config import AcceleratorConfig

__all__ = ["DEFAULT_CONFIG", "GROUP", "Identity", "Transport", "configuration", "connect"]

GROUP = "gcnloom.transport"
"""Entry-point group of callables ``(config, *, memory_megabytes, progress, ...) -> Transport``.

``progress`` is told a phrase when a stage of opening begins that may take long. ``memory``, where a
user gives it, names how long the memory of a simulated device takes.
"""
DEFAULT_CONFIG = "demo"


@dataclass(frozen=True, kw_only=True)
class Identity:
    """What a device says it is."""

    isa_version: int
    config_digest: str
    config: AcceleratorConfig
    memory_words: int


class Transport(Protocol):
    """What a device must offer; used by :class:`gcnloom.device.Device` only."""

    def identity(self) -> Identity:
        """Return version, configuration and memory of the device."""

    def write(self, address: int, data: bytes) -> None:
        """Write whole words of device memory from word `address` on."""

    def read(self, address: int, words: int) -> bytes:
        """Read `words` words of device memory."""

    def run(self, program_address: int, commands: int, seed: int, step: int) -> None:
        """Run a program that lies in device memory; return when it has ended.

        Counters and statistics start from zero. Raises :class:`~gcnloom.errors.DeviceError` or
        :class:`~gcnloom.errors.ProgramError` where the program stops or hangs.
        """

    def counters(self) -> dict[str, int]:
        """Return the counters of the last run, by their names in the register map."""

    def statistics(self) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Return envelopes and saturations of the last run, by tensor id."""

    def close(self) -> None:
        """Give the device back."""


def connect(spec: str, config: AcceleratorConfig | None = None, **options: Any) -> Transport:
    """Open the transport that `spec` names.

    Parameters
    ----------
    spec : str
        ``"model"``, ``"rtl"``..., optionally followed by a shipped configuration's name or a
        TOML file: ``"model:odd"``, ``"rtl:mine.toml"``.
    config : AcceleratorConfig, optional
        Instead of the one named in `spec`. Without either, ``"demo"``.
    **options
        Handed to the transport.
    """
    name, _, config_name = spec.partition(":")
    if config_name and config is not None:
        raise ConfigError(
            f"device {spec!r} names a configuration and another one is given; try {name!r}"
        )
    factory = _find(name)
    if config is None:
        config = configuration(config_name or DEFAULT_CONFIG)
    try:
        load: Any = factory.load()
    except ImportError as error:
        raise DeviceError(
            f"transport {name!r} needs a package that is missing ({error}); "
            "try: pip install 'gcnloom[sim]'"
        ) from error
    transport: Transport = load(config, **options)
    return transport


def configuration(name_or_path: str) -> AcceleratorConfig:
    """Read a configuration by name or from a TOML file."""
    try:
        return AcceleratorConfig.from_toml(name_or_path)
    except UnicodeDecodeError as error:
        raise ConfigError(
            f"configuration {name_or_path!r} is no text ({error}); try a file in UTF-8"
        ) from error
    except ValueError as error:
        raise ConfigError(f"{error}; try a name that `gcnloom info` lists") from error


def _find(name: str) -> EntryPoint:
    found = {entry.name: entry for entry in entry_points(group=GROUP)}
    if name not in found:
        there = ", ".join(sorted(found)) or "none"
        raise DeviceError(
            f"unknown transport {name!r} (there are: {there}); "
            "try one of those, or: pip install 'gcnloom[sim]'"
        )
    return found[name]
