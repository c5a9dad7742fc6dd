# SPDX-License-Identifier: Apache-2.0
"""Sampled minibatches: samplers, their draws, layered blocks, and training on them."""
