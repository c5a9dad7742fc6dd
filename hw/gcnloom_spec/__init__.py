# SPDX-License-Identifier: Apache-2.0
"""The contract between host and gateware: sizes, arithmetic, words, commands, registers."""
