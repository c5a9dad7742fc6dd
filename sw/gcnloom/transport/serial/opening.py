# SPDX-License-Identifier: Apache-2.0
"""Opening a board: at the port that is named, or at the only one where a device greets."""

import secrets
from collections.abc import Callable

from gcnloom.errors import ConfigError, DeviceError
from gcnloom.transport import configuration
from gcnloom.transport.serial.channel import Channel, SerialChannel
from gcnloom.transport.serial.configs import configuration_of
from gcnloom.transport.serial.location import Location
from gcnloom.transport.serial.ports import described, usb_ports
from gcnloom.transport.serial.recording import Recorder
from gcnloom.transport.serial.replay import Replay
from gcnloom.transport.serial.session import HOPE, Session
from gcnloom.transport.serial.transport import SerialTransport
from gcnloom_spec.config import AcceleratorConfig
from gcnloom_spec.isa import ISA_VERSION

__all__ = ["open_channel", "open_serial"]


def open_serial(
    config: AcceleratorConfig | None = None, *, location: str = "",
    memory_megabytes: int | None = None, memory: object = None,
    progress: Callable[[str], None] = lambda _: None,
) -> SerialTransport:  # fmt: skip
    """Open a board behind a serial port.

    Parameters
    ----------
    config : AcceleratorConfig, optional
        What it must have been built for; else it is found by the digest that the device greets
        with.
    location : str
        ``PORT?NAME=VALUE&...``, see :class:`~gcnloom.transport.serial.location.Location`. Without
        a port, it is the one on USB where a device greets.
    memory_megabytes, memory
        Must be left out: a board has the memory that it has.
    progress : callable
        Told a phrase when a stage of opening begins.

    Raises
    ------
    DeviceError
        There is no such port or no device, or it was built for something else.
    """
    for name, value in (("memory_megabytes", memory_megabytes), ("memory", memory)):
        if value is not None:
            raise ConfigError(
                f"{name}={value!r} is for simulated devices, and a board has the memory that it "
                f"has; try without {name}"
            )
    place = Location.parsed(location)
    if place.config:
        if config is not None:
            raise ConfigError(
                f"configuration {place.config} is named in {location!r}, and another one is given; "
                "try one of them"
            )
        config = configuration(place.config)
    if place.replay:
        replay = Replay(place.replay)
        return open_channel(replay, config or replay.config, baud=replay.baud, draw=replay.draw)
    port = place.port or _found(place, progress)
    progress(f"calling {port}")
    channel = SerialChannel(port, place.baud)
    if not place.record:
        return open_channel(channel, config, baud=place.baud, slowness=place.slowness)
    recorder = Recorder(
        channel, place.record, origin=described(port), baud=place.baud, draw=secrets.randbelow
    )
    transport = open_channel(
        recorder, config, baud=place.baud, slowness=place.slowness, draw=recorder.draw
    )
    recorder.configured(transport.identity().config)
    return transport


def open_channel(
    channel: Channel, config: AcceleratorConfig | None = None, *, baud: int, slowness: float = 1.0,
    hope: float = HOPE, draw: Callable[[int], int] = secrets.randbelow,
) -> SerialTransport:  # fmt: skip
    """Open the device at the other end of a channel, which is closed if there is none.

    `baud` and what follows are those of :class:`~gcnloom.transport.serial.session.Session`.

    Raises
    ------
    DeviceError
        Nothing answers, or it was built for something else.
    """
    try:
        session = Session(channel, baud, slowness=slowness, hope=hope, draw=draw)
        greeting = session.greeting
        if greeting.isa_version != ISA_VERSION:
            raise DeviceError(
                f"the board speaks version {greeting.isa_version} of the command set, this host "
                f"version {ISA_VERSION}; try building and programming it again"
            )
        found = configuration_of(greeting.digest, config)
        if greeting.memory_bytes != found.memory_bytes:
            raise DeviceError(
                f"the board has words of {greeting.memory_bytes} bytes, its configuration of "
                f"{found.memory_bytes}; try building and programming it again"
            )
        return SerialTransport(session, found)
    except BaseException:
        channel.close()
        raise


def _found(place: Location, progress: Callable[[str], None]) -> str:
    """Return the only port on USB where a device greets."""
    ports = usb_ports()
    greeting: list[str] = []
    silent: list[str] = []
    for port in ports:
        progress(f"calling {port}")
        try:
            channel = SerialChannel(port, place.baud)
        except DeviceError as error:
            silent.append(str(error))
            continue
        try:
            Session(channel, place.baud, slowness=place.slowness)
            greeting.append(port)
        except DeviceError:
            silent.append(f"nothing answers at {port}")
        finally:
            channel.close()
    if len(greeting) == 1:
        return greeting[0]
    if greeting:
        raise DeviceError(
            f"boards answer at {' and '.join(greeting)}; try one of them: serial://{greeting[0]}"
        )
    what = "; ".join(silent) or "there is no serial port on USB"
    raise DeviceError(f"no board was found: {what}; try its cable, or serial://PORT")
