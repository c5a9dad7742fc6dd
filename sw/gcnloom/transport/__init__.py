# SPDX-License-Identifier: Apache-2.0
"""Transports: how the host reaches a device; found by name through entry points."""

from collections.abc import Callable
from dataclasses import dataclass
from importlib.metadata import entry_points
from inspect import signature
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from gcnloom.errors import ConfigError, DeviceError
from gcnloom_spec.config import AcceleratorConfig, named_configs

__all__ = [
    "DEFAULT_CONFIG",
    "GROUP",
    "Ended",
    "Identity",
    "Judged",
    "Transport",
    "Watch",
    "configuration",
    "configuration_name",
    "connect",
]

GROUP = "gcnloom.transport"
"""Entry-point group of callables ``(config, *, memory_megabytes, progress, ...) -> Transport``.

``progress`` is told a phrase when a stage of opening begins that may take long. ``memory`` and
``memory_megabytes``, where a user gives them, describe the memory of a simulated device. One that
takes a ``location`` too is given what follows its name, and a configuration only if there is one.
"""
DEFAULT_CONFIG = "demo"
NONE_JUDGED = (1 << 64) - 1


@dataclass(frozen=True, kw_only=True)
class Identity:
    """What a device says it is."""

    isa_version: int
    config_digest: str
    config: AcceleratorConfig
    memory_words: int


@dataclass(frozen=True, kw_only=True)
class Judged:
    """What a device knows of the losses that it judged, see ``gcnloom_spec.commands.Repeat``.

    Attributes
    ----------
    best : int
        The smallest, in multiples of ``2 ** -10`` bits.
    worse : int
        How many came after it.
    """

    best: int = NONE_JUDGED
    worse: int = 0

    def after(self, loss: int) -> "Judged":
        """Return what it knows after another one."""
        if loss < self.best:
            return Judged(best=loss)
        return Judged(best=self.best, worse=self.worse + 1)


@dataclass(frozen=True, kw_only=True)
class Ended:
    """How a run ended.

    Attributes
    ----------
    step : int
        The step it came to.
    judged : Judged
    interrupted : bool
        Whether it was ended from the keyboard, which only a run with a `watch` is.
    """

    step: int
    judged: Judged
    interrupted: bool = False


NOTHING_JUDGED = Judged()
Watch = Callable[[int], object]
"""Told now and then which step a run has come to, while device memory can be read."""


class Transport(Protocol):
    """What a device must offer; used by :class:`gcnloom.device.Device` only."""

    def identity(self) -> Identity:
        """Return version, configuration and memory of the device."""

    def write(self, address: int, data: bytes) -> None:
        """Write whole words of device memory from word `address` on."""

    def read(self, address: int, words: int) -> bytes:
        """Read `words` words of device memory."""

    def run(
        self, program_address: int, commands: int, seed: int, step: int, *,
        judged: Judged = NOTHING_JUDGED, watch: Watch | None = None, keep: bool = False,
    ) -> Ended:  # fmt: skip
        """Run a program that lies in device memory; return when it has ended.

        Counters start from zero; statistics do too, unless the device is to `keep` them and go
        on from there. With a `watch` an interruption from the keyboard ends the run at the next
        repeat that advances the step. Raises :class:`~gcnloom.errors.DeviceError` or
        :class:`~gcnloom.errors.ProgramError` where the program stops or hangs.
        """

    def counters(self) -> dict[str, int]:
        """Return the counters of the last run, by their names in the register map."""

    def statistics(self) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Return envelopes and saturations of the last run, and of what it kept, by tensor id."""

    def scales(self) -> NDArray[np.int64]:
        """Return exponents, wanted exponents and shifts, a row each, by tensor id."""

    def close(self) -> None:
        """Give the device back."""


def connect(spec: str, config: AcceleratorConfig | None = None, **options: Any) -> Transport:
    """Open the transport that `spec` names.

    Parameters
    ----------
    spec : str
        ``"model"``, ``"rtl"``..., optionally followed by a shipped configuration's name or a
        TOML file: ``"model:odd"``, ``"rtl:mine.toml"``. That of a board has a location instead:
        ``"serial:///dev/ttyUSB0"``.
    config : AcceleratorConfig, optional
        Instead of the one named in `spec`. Without either, ``"demo"``.
    **options
        Handed to the transport.
    """
    name, _, place = spec.partition(":")
    load = _loaded(name)
    if "location" in signature(load).parameters:
        located: Transport = load(config, location=place.removeprefix("//"), **options)
        return located
    if place and config is not None:
        raise ConfigError(
            f"device {spec!r} names a configuration and another one is given; try {name!r}"
        )
    if config is None:
        config = configuration(place or DEFAULT_CONFIG)
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


def configuration_name(config: AcceleratorConfig) -> str:
    """Return the name under which a configuration ships, or else its digest."""
    for name in named_configs():
        if AcceleratorConfig.from_toml(name).digest == config.digest:
            return name
    return config.digest


def _loaded(name: str) -> Callable[..., Any]:
    found = {entry.name: entry for entry in entry_points(group=GROUP)}
    if name not in found:
        there = ", ".join(sorted(found)) or "none"
        raise DeviceError(
            f"unknown transport {name!r} (there are: {there}); "
            "try one of those, or: pip install 'gcnloom[sim]'"
        )
    try:
        load: Callable[..., Any] = found[name].load()
    except ImportError as error:
        raise DeviceError(
            f"transport {name!r} needs a package that is missing ({error}); "
            "try: pip install 'gcnloom[sim]'"
        ) from error
    return load
