# SPDX-License-Identifier: Apache-2.0
"""A board behind a UART, as a transport; the protocol is :mod:`gcnloom_spec.link`."""

from gcnloom.transport.serial.opening import open_channel, open_serial
from gcnloom.transport.serial.transport import SerialTransport

__all__ = ["SerialTransport", "open_channel", "open_serial"]
