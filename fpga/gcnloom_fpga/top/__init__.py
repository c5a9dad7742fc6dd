# SPDX-License-Identifier: Apache-2.0
"""What stands around the shell on a board: pins, clock and reset."""
