# SPDX-License-Identifier: Apache-2.0
"""What happens to sums on their way out of an engine."""
