# SPDX-License-Identifier: Apache-2.0
"""Train a GCN from SciPy matrices: a k-NN graph of scikit-learn's digits, on the Verilated RTL."""

import gcnloom

graph = gcnloom.datasets.load("digits")  # adjacency: SciPy CSR; features, labels: NumPy

model = gcnloom.GCN(hidden=16, device="rtl", epochs=100)
model.fit(graph.adjacency, graph.features, graph.labels, train=graph.train, val=graph.val)

print(f"test accuracy {model.score(graph.labels, graph.test):.1%}")
print(f"loss {model.history_[0]['loss']:.3f} to {model.history_[-1]['loss']:.3f}")
print(f"{model.result_['cycles']['per_epoch']:,} cycles an epoch")
