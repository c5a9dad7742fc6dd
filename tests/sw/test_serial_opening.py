# SPDX-License-Identifier: Apache-2.0
"""A board is found by its port or by its greeting, and every mistake has a remedy."""

import errno
from contextlib import ExitStack
from dataclasses import replace
from importlib.metadata import EntryPoint
from types import SimpleNamespace

import pytest
from serial import SerialException

import gcnloom.transport as transports
from gcnloom import transport
from gcnloom.errors import ConfigError, DeviceError
from gcnloom.transport import configuration, connect
from gcnloom.transport.serial import configs, opening, ports
from gcnloom.transport.serial.channel import LostError, SerialChannel
from gcnloom.transport.serial.location import Location
from gcnloom_sim.link_device import LinkDevice
from tests.sw.serial_link import BAUD, CONFIG, WORDS, board, pty


@pytest.fixture
def usb(monkeypatch):
    """Let there be devices on USB ports."""
    with ExitStack() as stack:

        def plugged(*devices):
            names = [stack.enter_context(pty(device)) for device in devices]
            there = [
                SimpleNamespace(
                    device=name,
                    vid=0x0403,
                    pid=0x6015,
                    serial_number=str(i),
                    interface=None,
                    description="a pseudo-terminal",
                )
                for i, name in enumerate(names)
            ]
            tools = ports.module("serial.tools.list_ports")
            monkeypatch.setattr(tools, "comports", lambda: there)
            return names

        yield plugged


class Mute(LinkDevice):
    """A device that is none of ours."""

    def receive(self, data):
        return b"login: "


def test_a_location_has_a_port_and_options():
    assert Location.parsed("") == Location()
    assert Location.parsed("/dev/ttyUSB0?baud=1e6&config=a.toml&record=r&slowness=2.5") == Location(
        port="/dev/ttyUSB0", baud=1_000_000, config="a.toml", record="r", slowness=2.5
    )
    assert Location.parsed("COM3").port == "COM3"


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("x?speed=3", "unknown option 'speed'.*try one of baud, config"),
        ("x?baud=fast", "baud='fast' is no number"),
        ("x?baud=-1", "baud='-1' is no number above 0"),
        ("x?slowness=inf", "slowness='inf'"),
        ("x?replay=y", "needs no port.*try serial://.replay=y"),
        ("?replay=y&record=z", "no other recording"),
    ],
)
def test_other_locations_are_refused(text, what):
    with pytest.raises(ConfigError, match=what):
        Location.parsed(text)


def test_the_only_board_is_found(usb):
    _, name = usb(Mute(CONFIG, WORDS), board())
    said = []
    opened = opening.open_serial(progress=said.append)
    assert opened.identity().config == CONFIG
    assert said[-1] == f"calling {name}"
    opened.close()


def test_of_two_boards_one_has_to_be_chosen(usb):
    first, second = usb(board(), board())
    with pytest.raises(DeviceError, match=f"{first} and {second}; try one of them: serial://"):
        opening.open_serial()


def test_no_board_is_an_error_that_says_where_it_was_looked_for(usb):
    (name,) = usb(Mute(CONFIG, WORDS))
    with pytest.raises(DeviceError, match=f"nothing answers at {name}; try its cable"):
        opening.open_serial()


def test_no_port_is_an_error(usb):
    usb()
    with pytest.raises(DeviceError, match="there is no serial port on USB"):
        opening.open_serial()


def test_a_port_that_is_not_there_names_those_that_are(usb):
    (name,) = usb(board())
    with pytest.raises(DeviceError, match=f"no port '/dev/ttyNONE' .*: {name}"):
        opening.open_serial(location="/dev/ttyNONE")


@pytest.mark.parametrize(
    ("number", "what"),
    [
        (errno.EACCES, "dialout"),
        (errno.EBUSY, "in use by another program"),
        (errno.EIO, "cannot be opened"),
    ],
)
def test_a_port_that_cannot_be_opened_says_what_helps(usb, monkeypatch, number, what):
    usb(board())

    def refuse(*_, **__):
        raise SerialException(number, "no")

    monkeypatch.setattr(ports.module("serial"), "Serial", refuse)
    with pytest.raises(DeviceError, match=what):
        opening.open_serial(location="/dev/ttyUSB0")


def test_a_port_in_use_is_an_error(usb):
    (name,) = usb(board())
    opened = opening.open_serial(location=name)
    with pytest.raises(DeviceError, match="in use by another program"):
        opening.open_serial(location=name)
    opened.close()


def test_a_port_whose_other_side_goes_is_lost_and_found_under_another_name(usb):
    with ExitStack() as stack:
        name = stack.enter_context(pty(board()))
        channel = SerialChannel(name, BAUD)
        channel.close()
        with pytest.raises(LostError, match=f"{name} is gone.*try its cable"):
            channel.read(0.01)
        with pytest.raises(LostError):
            channel.write(b"x")
    with pytest.raises(LostError):
        channel.reopen()
    (other,) = usb(board())
    channel._identity = ports.usb_identity(other)
    channel.reopen()
    assert channel._name == other
    channel.close()


def test_no_pyserial_is_an_error(monkeypatch):
    def missing(name):
        raise ImportError(name)

    monkeypatch.setattr(ports, "import_module", missing)
    with pytest.raises(DeviceError, match=r"pip install 'gcnloom\[serial\]'"):
        opening.open_serial(location="/dev/ttyUSB0")


def test_a_configuration_is_found_by_its_digest(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert configs.configuration_of(CONFIG.digest, None) == CONFIG
    own = replace(configuration("smallest"), command_depth=8)
    with pytest.raises(DeviceError, match=f"{own.digest}.toml is not there.*config=FILE"):
        configs.configuration_of(own.digest, None)
    path = tmp_path / "gcnloom" / "configs" / f"{own.digest}.toml"
    path.write_text(own.to_toml())
    assert configs.configuration_of(own.digest, None) == own
    path.write_text(CONFIG.to_toml())
    with pytest.raises(ConfigError, match="not what its name says"):
        configs.configuration_of(own.digest, None)


def test_a_configuration_is_named_once(usb):
    usb(board())
    with pytest.raises(ConfigError, match="and another one is given"):
        opening.open_serial(CONFIG, location="x?config=odd")


def test_an_old_command_set_is_an_error(monkeypatch, usb):
    (name,) = usb(board())
    monkeypatch.setattr(opening, "ISA_VERSION", 99)
    with pytest.raises(DeviceError, match="this host version 99"):
        opening.open_serial(location=name)


@pytest.mark.parametrize("spec", ["serial://PORT", "serial:PORT"])
def test_a_location_reaches_the_transport_that_takes_one(monkeypatch, spec):
    entries = [EntryPoint("serial", "tests.sw.test_serial_opening:take", transports.GROUP)]
    monkeypatch.setattr(transports, "entry_points", lambda group: entries)
    assert connect(spec) == (None, "PORT")
    assert connect(spec, CONFIG) == (CONFIG, "PORT")
    assert connect("serial") == (None, "")


def take(config, *, location):
    return config, location


def test_names_of_configurations():
    assert transport.configuration_name(CONFIG) == "odd"
