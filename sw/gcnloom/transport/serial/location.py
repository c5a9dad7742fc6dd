# SPDX-License-Identifier: Apache-2.0
"""What stands behind ``serial://``: a port, and options."""

import math
from dataclasses import dataclass, fields
from urllib.parse import parse_qsl, unquote

from gcnloom.errors import ConfigError
from gcnloom_spec.link import RATES

__all__ = ["Location"]


@dataclass(frozen=True, kw_only=True)
class Location:
    """A port and how to use it.

    Attributes
    ----------
    port : str
        As the operating system names it; empty: the port at which a device greets.
    baud : int
        The fastest rate to use.
    config : str
        Configuration that the device must have been built for: a name or a ``.toml`` file.
    record : str
        File to record the session to.
    replay : str
        Recorded session to play instead of opening a port.
    slowness : float
        By what to multiply every wait.
    """

    port: str = ""
    baud: int = RATES[0]
    config: str = ""
    record: str = ""
    replay: str = ""
    slowness: float = 1.0

    @classmethod
    def parsed(cls, text: str) -> "Location":
        """Read ``PORT?NAME=VALUE&...``.

        Raises
        ------
        ConfigError
            An option is unknown, or has a value that it cannot have.
        """
        port, _, query = text.partition("?")
        known = [field.name for field in fields(cls) if field.name != "port"]
        given = dict(parse_qsl(query, keep_blank_values=True))
        for name in given:
            if name not in known:
                raise ConfigError(
                    f"unknown option {name!r} of a serial port; try one of {', '.join(known)}"
                )
        location = cls(
            port=unquote(port),
            baud=int(_positive("baud", given.get("baud", str(cls.baud)))),
            config=given.get("config", ""),
            record=given.get("record", ""),
            replay=given.get("replay", ""),
            slowness=_positive("slowness", given.get("slowness", str(cls.slowness))),
        )
        if location.replay and (location.port or location.record):
            raise ConfigError(
                f"a recorded session needs no port and no other recording, and {text!r} names one; "
                f"try serial://?replay={location.replay}"
            )
        return location


def _positive(name: str, value: str) -> float:
    try:
        number = float(value)
    except ValueError:
        number = math.nan
    if not 0 < number < math.inf:
        raise ConfigError(f"{name}={value!r} is no number above 0; try baud=3000000 or slowness=1")
    return number
