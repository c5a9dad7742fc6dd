# SPDX-License-Identifier: Apache-2.0
"""The serial ports of this machine: which there are, and why one cannot be opened."""

import errno
from importlib import import_module
from typing import Any

from gcnloom.errors import DeviceError

__all__ = ["described", "failure", "module", "named_again", "usb_identity", "usb_ports"]

UdevIdentity = tuple[int, int, str | None, str | None]
RULE = 'SUBSYSTEM=="tty", ATTRS{idVendor}=="0403", TAG+="uaccess"'


def module(name: str) -> Any:
    """Return a module of pyserial.

    Raises
    ------
    DeviceError
        It is not installed.
    """
    try:
        return import_module(name)
    except ImportError as error:
        raise DeviceError(
            f"serial ports need pyserial ({error}); try: pip install 'gcnloom[serial]'"
        ) from error


def usb_ports() -> list[str]:
    """Return the names of serial ports that are on USB, which alone are ever asked unbidden."""
    ports = module("serial.tools.list_ports").comports()
    return sorted(port.device for port in ports if port.vid is not None)


def usb_identity(name: str) -> UdevIdentity | None:
    """Return what tells the port's adapter from others, if it is one on USB."""
    for port in module("serial.tools.list_ports").comports():
        if port.device == name and port.vid is not None:
            return port.vid, port.pid, port.serial_number, port.interface
    return None


def described(name: str) -> str:
    """Return the name of a port, and of the adapter that it is on."""
    for port in module("serial.tools.list_ports").comports():
        if port.device == name:
            return f"{name}, {port.description}"
    return name


def named_again(name: str, identity: UdevIdentity | None) -> str:
    """Return the name that an adapter has now: plugged in again, it may get another one."""
    if identity is None:
        return name
    there = [port for port in usb_ports() if usb_identity(port) == identity]
    return name if name in there or len(there) != 1 else there[0]


def failure(name: str, rate: int, error: Exception) -> str:
    """Say why a port cannot be opened, and what helps."""
    number = getattr(error, "errno", None)
    there = ", ".join(usb_ports()) or "none"
    if number == errno.ENOENT or isinstance(error, FileNotFoundError):
        return f"there is no port {name!r} (serial ports on USB: {there}); try one of those"
    if number == errno.EACCES:
        return (
            f"permission denied for port {name}; try: sudo usermod -aG dialout $USER, and log in "
            f"anew; or a udev rule: {RULE}"
        )
    if number in (errno.EBUSY, errno.EAGAIN) or "exclusively lock" in str(error):
        return f"port {name} is in use by another program; try closing that one"
    if isinstance(error, ValueError):
        return f"port {name} cannot do {rate} baud ({error}); try a lower baud"
    return f"port {name} cannot be opened ({error}); try another (on USB: {there})"
