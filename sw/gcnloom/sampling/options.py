# SPDX-License-Identifier: Apache-2.0
"""Options of sampled training, checked before anything is built."""

from dataclasses import asdict, dataclass
from typing import Any

from gcnloom.errors import ConfigError
from gcnloom.graphs.graph import Graph
from gcnloom.graphs.partition import node_parts
from gcnloom.sampling.cluster import Cluster, ClusterBatches
from gcnloom.sampling.draws import Draws
from gcnloom.sampling.samplers import Batches, Labor, Neighbour, NodeBatches, Sampler
from gcnloom.sampling.topology import Topology
from gcnloom.training.options import Options

__all__ = ["SAMPLED_MODES", "SAMPLERS", "Sampling"]

SAMPLED_MODES = ("minibatch", "cooperative")
SAMPLERS = ("neighbour", "labor", "cluster")
LEAST = {"batch": 1, "kappa": 1, "clusters": 0, "cache": 0, "evaluate_every": 0}


@dataclass(frozen=True, kw_only=True)
class Sampling:
    """How batches are sampled.

    Parameters
    ----------
    sampler : {"neighbour", "labor", "cluster"}
    batch : int
        Training nodes of each worker in an iteration; under ``"cluster"``, clusters.
    fanout : tuple of int
        Edges kept into a vertex, of each layer, the one next to the input first; empty under
        ``"cluster"``, which keeps all between its vertices.
    kappa : int
        Iterations after which nothing is left of a sampler's draws; 1: batches are independent.
    clusters : int
        Parts into which METIS cuts the graph; 0 but under ``"cluster"``.
    cache : int
        Rows of input features that each worker holds from batch to batch.
    evaluate_every : int
        Epochs between looks at the validation nodes; 0: only at the end.
    ahead : bool
        Whether the next batch is made while the device runs; of no consequence to any bit.
    """

    sampler: str = "labor"
    batch: int = 32
    fanout: tuple[int, ...] = ()
    kappa: int = 1
    clusters: int = 0
    cache: int = 0
    evaluate_every: int = 10
    ahead: bool = True

    def __post_init__(self) -> None:
        if self.sampler not in SAMPLERS:
            raise ConfigError(f"sampler={self.sampler!r} is unknown; try {' or '.join(SAMPLERS)}")
        for name, least in LEAST.items():
            value = getattr(self, name)
            if type(value) is not int or value < least:
                raise ConfigError(f"{name}={value!r} is no number from {least} on; try {least}")
        if self.sampler != "cluster" and self.clusters:
            raise ConfigError(
                f"clusters={self.clusters} is for sampler='cluster'; "
                f"try 0 with sampler={self.sampler!r}"
            )
        if self.sampler == "cluster":
            self._check_clusters()

    def check(self, options: Options, mode: str) -> None:
        """Raise ConfigError about what cannot be trained on samples."""
        if mode not in SAMPLED_MODES:
            raise ConfigError(f"parallel={mode!r} is unknown; try {' or '.join(SAMPLED_MODES)}")
        options.require_host(mode)
        options.require_gcn(mode)
        if options.rounding != "nearest":
            raise ConfigError(
                f"rounding={options.rounding!r} draws by place on the device, and a batch's "
                "vertices change places; try rounding='nearest'"
            )
        if not options.sampled:
            raise ConfigError(
                f"sampled={options.sampled} computes every row, and a batch never does; "
                "try sampled=True"
            )
        if options.patience and not self.evaluate_every:
            raise ConfigError(
                f"patience={options.patience} needs looks at the validation nodes; "
                "try evaluate_every=10"
            )
        if self.sampler != "cluster" and len(self.fanout) != options.layers:
            raise ConfigError(
                f"fanout={self.fanout} is for {len(self.fanout)} layers and there are "
                f"{options.layers}; try {(10,) * options.layers}"
            )

    def make(
        self, graph: Graph, *, rank: int, workers: int, cooperative: bool, seed: int
    ) -> tuple[Sampler, Batches]:
        """Return what chooses edges, and training nodes, for one of so many workers."""
        if self.sampler == "cluster":
            membership = node_parts(graph.adjacency, self._parts_of(graph))
            batches = ClusterBatches(membership, graph.train, self.batch, workers, seed)
            share = (0, 1) if cooperative else (rank, workers)
            return Cluster(graph, membership, batches, share), batches
        draws, topology = Draws(seed=seed, kappa=self.kappa), Topology.of(graph)
        kind = Neighbour if self.sampler == "neighbour" else Labor
        sampler = kind(topology=topology, fanout=self.fanout, draws=draws)
        return sampler, NodeBatches(graph.train, self.batch * workers, seed)

    def as_dict(self) -> dict[str, Any]:
        """Every option by name, as JSON has them."""
        return asdict(self) | {"fanout": list(self.fanout)}

    def _check_clusters(self) -> None:
        """Refuse what a sampler of clusters has no use for."""
        if not self.clusters:
            raise ConfigError("sampler='cluster' needs parts to choose from; try clusters=50")
        if self.fanout:
            raise ConfigError(
                f"fanout={self.fanout} is of samplers that choose edges; "
                "try none with sampler='cluster'"
            )
        if self.kappa > 1:
            raise ConfigError(
                f"kappa={self.kappa} is of samplers that draw by vertex; "
                "try 1 with sampler='cluster'"
            )

    def _parts_of(self, graph: Graph) -> int:
        if self.clusters > graph.nodes:
            raise ConfigError(
                f"clusters={self.clusters} are more than the {graph.nodes} nodes of "
                f"{graph.name!r}; try {max(1, graph.nodes // 20)}"
            )
        return self.clusters
