# SPDX-License-Identifier: Apache-2.0
"""Command line: ``gcnloom train | infer | info | listing | doctor | bench | explore``."""

from gcnloom.cli.main import main

__all__ = ["main"]
