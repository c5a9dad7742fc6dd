# SPDX-License-Identifier: Apache-2.0
"""Errors a user can mend: the message names what is wrong, with its value, and what to try.

A warning reads alike, of what goes on but not as it should.
"""

__all__ = [
    "CheckpointError",
    "ClippedWarning",
    "ConfigError",
    "DataError",
    "DeviceError",
    "LoomError",
    "MemoryFullError",
    "ProgramError",
    "TrainingError",
]


class LoomError(Exception):
    """Base of every error that gcnloom raises on purpose.

    The message reads ``what is wrong, with its value; try the remedy``.
    """

    @property
    def remedy(self) -> str | None:
        """What the message says to try, if it says so."""
        _, separator, remedy = str(self).rpartition("; try ")
        return remedy if separator else None


class DataError(LoomError):
    """A graph, a data set or an array cannot be used as it is."""


class ConfigError(LoomError):
    """A configuration or an option does not fit what it is used for."""


class ProgramError(LoomError):
    """A program breaks the contract, or belongs to another machine."""


class DeviceError(LoomError):
    """A device cannot be found, does not answer or stopped."""


class MemoryFullError(DeviceError):
    """A tensor or a program does not fit the device memory that is left."""


class CheckpointError(LoomError):
    """A checkpoint cannot be read or does not match."""


class TrainingError(LoomError):
    """Training cannot go on."""


class ClippedWarning(UserWarning):
    """Weights or momenta outgrew what a device keeps them in, so that steps were not whole."""
