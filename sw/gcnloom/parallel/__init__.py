# SPDX-License-Identifier: Apache-2.0
"""Training on several accelerators: workers, what they exchange, and who does what."""
