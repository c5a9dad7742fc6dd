# SPDX-License-Identifier: Apache-2.0
"""The signals of one stream, found on a device under test by name."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

__all__ = ["Packet", "Ports", "flat_ports", "pack", "stream_ports"]

Packet = Any
"""A payload: the bits of one port, or a dictionary with those of several by field."""


@dataclass(frozen=True, kw_only=True)
class Ports:
    """Handles of a stream's `valid`, `ready` and payload.

    Parameters
    ----------
    name : str
        What messages call the stream.
    valid, ready : handle
    payload : handle, or mapping of str to handle
    """

    name: str
    valid: Any
    ready: Any
    payload: Any

    def read(self) -> Packet:
        """Payload of this moment."""
        if isinstance(self.payload, Mapping):
            return {name: int(handle.value) for name, handle in self.payload.items()}
        return int(self.payload.value)

    def write(self, packet: Packet) -> None:
        """Drive the payload."""
        if isinstance(self.payload, Mapping):
            for name, handle in self.payload.items():
                handle.value = packet[name]
        else:
            self.payload.value = packet


def pack(shape: Any, values: Any) -> int:
    """Bits of an Amaranth layout's fields, as its payload port has them."""
    return int(shape.const(values).as_bits())


def stream_ports(dut: Any, name: str) -> Ports:
    """Ports of the Amaranth stream `name`: ``name__valid``, ``name__ready``, ``name__payload``."""
    valid, ready, payload = (
        getattr(dut, f"{name}__{part}") for part in ("valid", "ready", "payload")
    )
    return Ports(name=name, valid=valid, ready=ready, payload=payload)


def flat_ports(dut: Any, name: str, *fields: str) -> Ports:
    """Ports ``name_valid``, ``name_ready`` and ``name_field`` for each of `fields`."""
    return Ports(
        name=name,
        valid=getattr(dut, f"{name}_valid"),
        ready=getattr(dut, f"{name}_ready"),
        payload={field: getattr(dut, f"{name}_{field}") for field in fields},
    )
