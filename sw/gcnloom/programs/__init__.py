# SPDX-License-Identifier: Apache-2.0
"""Programs: commands as values, their encoding, text, accesses and tokens."""
