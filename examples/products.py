# SPDX-License-Identifier: Apache-2.0
"""One sparse and one dense product on an accelerator, checked against SciPy."""

import numpy as np
from scipy.sparse import random_array

import gcnloom

rng = np.random.default_rng(0)
sparse = random_array((1000, 800), density=0.01, rng=rng, format="csr")
dense = rng.standard_normal((800, 24))

with gcnloom.open("model:demo") as device:
    product = device.spmm(sparse, dense)
    gram = device.gemm(product.T, product)

exact = sparse @ dense
print(f"spmm: largest error {np.abs(product - exact).max() / np.abs(exact).max():.2%} of the peak")
print(f"gemm: {gram.shape}, trace {np.trace(gram):.1f} against {np.trace(exact.T @ exact):.1f}")
