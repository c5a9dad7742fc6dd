# SPDX-License-Identifier: Apache-2.0
"""The boards that come with gcnloom, one TOML file each."""
