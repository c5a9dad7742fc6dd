# SPDX-License-Identifier: Apache-2.0
"""On-chip memories and the device-memory port."""
