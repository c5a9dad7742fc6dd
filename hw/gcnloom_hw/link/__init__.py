# SPDX-License-Identifier: Apache-2.0
"""The gateware's side of the link over a UART, see :mod:`gcnloom_spec.link`."""
