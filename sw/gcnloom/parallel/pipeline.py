# SPDX-License-Identifier: Apache-2.0
"""How far exchanges may run beside the devices: in chunks, and from one epoch into a later one."""

from dataclasses import asdict, dataclass

from gcnloom.errors import ConfigError

__all__ = ["MOST_CHUNKS", "SYNCHRONOUS", "Pipeline"]

MOST_CHUNKS = 8
MOST_STALENESS = 64


@dataclass(frozen=True, kw_only=True)
class Pipeline:
    """How exchanges of a training go beside its products.

    Parameters
    ----------
    staleness : int
        Epochs that what comes from other workers is old while training; in the first epochs, as
        old as there is. The form is PipeGCN's (Wan et al., 2022). 0 is synchronous.
    chunks : int
        Parts in which the rows of a product are made and sent: one travels while the next is
        multiplied. The bits do not depend on it.
    """

    staleness: int = 0
    chunks: int = 1

    def __post_init__(self) -> None:
        for name, least, most in (("staleness", 0, MOST_STALENESS), ("chunks", 1, MOST_CHUNKS)):
            value = getattr(self, name)
            if type(value) is not int or not least <= value <= most:
                raise ConfigError(f"{name}={value!r} is outside {least}..{most}; try {least}")

    def require_none(self, mode: str) -> None:
        """Raise ConfigError in a mode whose exchanges do not repeat from epoch to epoch."""
        for name, value in asdict(self).items():
            if value != getattr(SYNCHRONOUS, name):
                raise ConfigError(
                    f"{name}={value} is for exchanges that every epoch repeats, and parallel="
                    f"{mode!r} has none; try parallel='mop' or 'partition'"
                )


SYNCHRONOUS = Pipeline()
