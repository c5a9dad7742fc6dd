# SPDX-License-Identifier: Apache-2.0
"""Plumbing: queues and gearboxes between streams."""
