# SPDX-License-Identifier: Apache-2.0
"""A board behind a UART, as a transport; the protocol is :mod:`gcnloom_spec.link`."""
