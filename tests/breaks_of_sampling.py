# SPDX-License-Identifier: Apache-2.0
"""The lines of sampled training that `mutations.py` breaks."""

from tests.breaks import Mutation

SAMPLING = "sw/gcnloom/sampling"
SAMPLERS = ("tests/sw/sampling/test_samplers.py",)
BLOCK = ("tests/sw/sampling/test_block.py",)
CACHE = ("tests/sw/sampling/test_cache.py",)
COOPERATE = ("tests/sw/sampling/test_training.py", "-k", "cooperating and labor")
EPOCHS = ("tests/sw/sampling/test_training.py", "-k", "one_iteration_after")
AHEAD = "tests/sw/sampling/test_ahead.py"
INTERRUPTED = (AHEAD, "-k", "interrupted_training")
BYTES = (AHEAD, "-k", "same_bits_and_bytes and minibatch and 2")
CHANNEL = (AHEAD, "-k", "same_bits_and_bytes and cooperative and 2")

SAMPLED = [
    Mutation(
        f"{SAMPLING}/samplers.py",
        "ranks_within(target[order]) < limit",
        "ranks_within(target[order]) <= limit",
        SAMPLERS,
    ),
    Mutation(
        f"{SAMPLING}/samplers.py",
        "order = np.lexsort((normals, target))",
        "order = np.lexsort((there.source[chosen], target))",
        SAMPLERS,
    ),
    Mutation(
        f"{SAMPLING}/samplers.py",
        "normals[place] <= table[degree[there.target]]",
        "normals[place] <= table[degree[there.target] - 1]",
        SAMPLERS,
    ),
    Mutation(
        f"{SAMPLING}/samplers.py",
        "kept.weight * (degree[kept.target] / count[kept.target])",
        "kept.weight",
        SAMPLERS,
    ),
    Mutation(
        f"{SAMPLING}/samplers.py",
        "divmod(iteration, self.per_epoch)",
        "(0, iteration % self.per_epoch)",
        SAMPLERS,
    ),
    Mutation(
        f"{SAMPLING}/draws.py",
        "self._independent(number + 1, layer, vertices, others)",
        "self._independent(number, layer + 1, vertices, others)",
        SAMPLERS,
    ),
    Mutation(
        f"{SAMPLING}/draws.py",
        "angle = pi / 2 * (phase / self.kappa)",
        "angle = pi * (phase / self.kappa)",
        SAMPLERS,
    ),
    Mutation(
        f"{SAMPLING}/draws.py",
        "other = vertices if others is None else others",
        "other = vertices",
        SAMPLERS,
    ),
    Mutation(
        f"{SAMPLING}/draws.py",
        "x % np.uint32(workers)",
        "x % np.uint32(workers + 1)",
        SAMPLERS,
    ),
    Mutation(
        f"{SAMPLING}/cluster.py",
        "induced = gcn_norm(self._graph.adjacency[vertices][:, vertices])",
        "induced = gcn_norm(self._graph.adjacency)[vertices][:, vertices]",
        SAMPLERS,
    ),
    Mutation(
        f"{SAMPLING}/block.py",
        "owner = owners(seed, sources, communicator.size)",
        "owner = np.arange(len(sources)) % communicator.size",
        BLOCK,
    ),
    Mutation(
        f"{SAMPLING}/block.py",
        "sampler.edges(targets, layer, iteration)",
        "sampler.edges(targets, 1, iteration)",
        BLOCK,
    ),
    Mutation(
        f"{SAMPLING}/layers.py",
        "total[send] += part",
        "total[send] = part",
        COOPERATE,
    ),
    Mutation(
        f"{SAMPLING}/layers.py",
        "purpose=DROPOUT, rows=share.targets",
        "purpose=DROPOUT, rows=np.arange(len(share.targets))",
        COOPERATE,
    ),
    Mutation(
        f"{SAMPLING}/layers.py",
        "worker.envelopes[identifier] |= envelope(total)",
        "pass",
        COOPERATE,
    ),
    Mutation(
        f"{SAMPLING}/batch.py",
        "np.flatnonzero(owners(seed, nodes, size) == rank)",
        "np.arange(len(nodes))",
        COOPERATE,
    ),
    Mutation(
        f"{SAMPLING}/cache.py",
        "self._worth *= 2.0 ** (1 / HALF_LIFE)",
        "pass",
        CACHE,
    ),
    Mutation(
        f"{SAMPLING}/cache.py",
        "np.argsort(-self._uses[candidates]",
        "np.argsort(self._uses[candidates]",
        CACHE,
    ),
    Mutation(
        f"{SAMPLING}/cache.py",
        "fresh = self._features[vertices[~hit]]",
        "fresh = self._features[vertices]",
        CACHE,
    ),
    Mutation(
        f"{SAMPLING}/engine.py",
        "if batch is None or batch.iteration != iteration:",
        "if batch is None:",
        INTERRUPTED,
    ),
    Mutation(
        f"{SAMPLING}/engine.py",
        "self.communicator.sent.update(self.batch.sent)",
        "pass",
        BYTES,
    ),
    Mutation(
        f"{SAMPLING}/engine.py",
        "communicator.channel() if sampling.ahead else communicator",
        "communicator",
        CHANNEL,
    ),
    Mutation(
        f"{SAMPLING}/trainer.py",
        "first = step * engine.batches.per_epoch",
        "first = 0",
        EPOCHS,
    ),
]
