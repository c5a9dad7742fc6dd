# SPDX-License-Identifier: Apache-2.0
"""Tensors in device memory: where they lie and how they are packed."""
