# SPDX-License-Identifier: Apache-2.0
"""The sparse engine's schedule: rows dealt to elements, edges spaced in time."""
