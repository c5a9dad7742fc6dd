# SPDX-License-Identifier: Apache-2.0
"""The gateware: one component a file, joined by streams."""
