# SPDX-License-Identifier: Apache-2.0
"""GCN and its relatives in scikit-learn's manner: fit, predict, score."""

import time
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import issparse

from gcnloom.device import Device, open
from gcnloom.errors import ConfigError, DataError, LoomError
from gcnloom.graphs.graph import Graph
from gcnloom.graphs.splits import indices
from gcnloom.parallel.communicator import Communicator
from gcnloom.parallel.gist import GistTrainer
from gcnloom.parallel.launch import device_of, open_in_turn, run_workers
from gcnloom.parallel.mpi import launched
from gcnloom.parallel.outcome import gist_result
from gcnloom.parallel.pipeline import Pipeline
from gcnloom.parallel.trainer import MODES
from gcnloom.sampling.modes import TogetherTrainer, summarise, trainer_together
from gcnloom.sampling.options import Sampling
from gcnloom.training.checkpoint import Checkpoint, load_checkpoint, save_checkpoint
from gcnloom.training.device_trainer import trainer_for
from gcnloom.training.inference import Inference
from gcnloom.training.options import Options
from gcnloom.training.result import result
from gcnloom.training.trainer import FullBatch

__all__ = ["GCN"]

SINGLE, GIST = "single", "gist"


class GCN:
    """Graph convolutional network trained on an accelerator.

    Parameters
    ----------
    hidden : int
        Features of hidden layers.
    device : str or Device
        What :func:`gcnloom.open` takes, ``"rtl"`` or ``"model:odd"`` for example; or an open
        device, whose memory is then used and which stays open.
    memory_megabytes : int, optional
        Memory of a simulated device, where `device` is a name.
    parallel : {"single", "mop", "partition", "minibatch", "cooperative", "gist"}
        How several devices share the work, all but ``"gist"`` with ``update="host"``; `device` is
        then one name for all or one for each, by commas.
    workers : int, optional
        How many; not needed under ``mpiexec``, where every process makes a GCN and fits it.
    sampling : Sampling, optional
        How ``"minibatch"`` and ``"cooperative"`` sample: `gcnloom.sampling.options.Sampling`.
    local_iterations : int, optional
        Epochs of a round of ``"gist"``; 10 if not given.
    evaluate_every : int, optional
        Rounds of ``"gist"`` between looks at the validation nodes with the whole network; none
        on the way if not given. Under ``mpiexec`` the first process has the weights.
    staleness, chunks : int
        How exchanges of ``"mop"`` and ``"partition"`` go beside products:
        `gcnloom.parallel.pipeline.Pipeline`.
    **options
        Other options of :class:`gcnloom.training.options.Options`: ``model`` (``"sage"`` and
        ``"gin"`` beside ``"gcn"``), ``layers``, ``residual``, ``epochs``, ``lr``,
        ``weight_decay``, ``dropout``, ``patience``, ``seed``, ``sampled``, ``serial``...

    Attributes
    ----------
    history_ : list of dict
        Loss and accuracies of every epoch.
    result_ : dict
        What :func:`gcnloom.training.result.result` says, cycles and utilisation among it.
    weights_ : list of NDArray[np.float64]
        Weights kept, one array a layer.
    classes_ : NDArray
        What the columns of :meth:`decision_function` stand for.

    Examples
    --------
    >>> graph = gcnloom.datasets.load("sbm:200,3")  # doctest: +SKIP
    >>> model = gcnloom.GCN(hidden=16, device="rtl", epochs=50)  # doctest: +SKIP
    >>> model.fit(graph.adjacency, graph.features, graph.labels, train=graph.train)
    ... # doctest: +SKIP
    >>> model.predict()  # doctest: +SKIP
    """

    def __init__(
        self,
        hidden: int = 16,
        *,
        device: str | Device = "rtl",
        memory_megabytes: int | None = None,
        parallel: str = SINGLE,
        workers: int | None = None,
        sampling: Sampling | None = None,
        local_iterations: int | None = None,
        evaluate_every: int | None = None,
        staleness: int = 0,
        chunks: int = 1,
        **options: Any,
    ) -> None:
        if parallel == SINGLE and workers not in (None, 1):
            raise ConfigError(f"workers={workers} is for training in parallel; try parallel='mop'")
        if parallel != SINGLE and not isinstance(device, str):
            raise ConfigError(
                "an open device cannot be several workers'; try a name, device='model' for example"
            )
        if parallel in (SINGLE, GIST) and sampling is not None:
            raise ConfigError(f"sampling={sampling} is for batches; try parallel='minibatch'")
        rounds = {"local_iterations": local_iterations, "evaluate_every": evaluate_every}
        self._rounds = {name: value for name, value in rounds.items() if value is not None}
        if parallel != GIST and self._rounds:
            raise ConfigError(f"{self._rounds} is for training by parts; try parallel='gist'")
        self.parallel, self.workers, self.sampling = parallel, workers, sampling
        self.pipeline = Pipeline(staleness=staleness, chunks=chunks)
        if parallel not in MODES:
            self.pipeline.require_none(parallel)
        self.options = Options(hidden=hidden, **options)
        self.device = device
        self.memory_megabytes = memory_megabytes
        self._checkpoint: Checkpoint | None = None

    def fit(
        self, adjacency: Any, features: Any, labels: Any, *, train: Any, val: Any = (),
        progress: Any = lambda _: None, resume: str | Path | None = None,
    ) -> "GCN":  # fmt: skip
        """Train on the nodes `train`.

        Parameters
        ----------
        adjacency : csr_array
            Nodes by nodes, row is target; not normalised, self loops are added.
        features : csr_array or NDArray
            Nodes by features.
        labels : array_like of int
            Class of each node, -1 where it is not known.
        train, val : array_like
            Indices, or a mask of all nodes. The weights best on `val` are kept.
        progress : callable
            Sees a :class:`gcnloom.training.trainer.Epoch` after every epoch.
        resume : str or Path, optional
            Checkpoint to continue from.

        Returns
        -------
        GCN
            Itself. An interrupted training can be saved, too.
        """
        begin = time.perf_counter()
        graph = self._graph(adjacency, features, labels, train=train, val=val)
        earlier = None if resume is None else load_checkpoint(resume)
        if self.parallel != SINGLE:
            return self._fit_together(graph, earlier, progress, begin)
        device = self._open(self.device)
        try:
            trainer = trainer_for(graph, self.options, device)
            if earlier is not None:
                trainer.restore(earlier)
            build = time.perf_counter() - begin
            try:
                trainer.run(progress)
            finally:
                self._checkpoint = trainer.checkpoint()
                self._fitted = graph
            self._keep(trainer, self._result(trainer, begin, build))
        finally:
            self._close(device)
        return self

    def _fit_together(
        self, graph: Graph, earlier: Checkpoint | None, progress: Any, begin: float
    ) -> "GCN":
        """Train as several workers; keep what this process's first one comes to."""
        trainers: list[TogetherTrainer | GistTrainer] = []

        def work(communicator: Communicator) -> dict[str, Any]:
            name = device_of(str(self.device), communicator.rank, communicator.size)
            with open_in_turn(communicator, lambda: self._open(name)) as device:
                trainer = self._trainer(graph, device, communicator)
                if earlier is not None:
                    trainer.restore(earlier)
                build = time.perf_counter() - begin
                leads = launched() or communicator.rank == 0
                if leads:
                    trainers.append(trainer)
                trainer.run(progress if leads else lambda _: None)
                if isinstance(trainer, GistTrainer):
                    return gist_result(trainer, **self._named(trainer, begin, build))
                return self._result(trainer, begin, build) | {"parallel": summarise(trainer)}

        try:
            outcome = run_workers(self.workers, work)
        finally:
            if trainers:
                self._checkpoint = trainers[0].checkpoint()
                self._fitted = graph
        self._keep(trainers[0], outcome)
        return self

    def decision_function(self, adjacency: Any = None, features: Any = None) -> NDArray[np.float64]:
        """Logits of every node, shape ``(nodes, classes)``; of the fitted graph if left out."""
        if self._checkpoint is None:
            raise LoomError("this GCN has no weights yet; try fit first")
        if (adjacency is None) != (features is None):
            raise DataError("a graph is adjacency and features; try both, or neither")
        if adjacency is None:
            graph = self._fitted
        else:
            features = features if issparse(features) else np.asarray(features)
            nodes = features.shape[0] if features.ndim else 0
            graph = self._graph(adjacency, features, np.zeros(nodes, np.int64), train=(), val=())
        weights = self._checkpoint.group("model")
        if not weights:
            raise LoomError("the weights are the first process's; try to predict there")
        # Predicting takes one device; of several, the first.
        first = self.device.split(",")[0] if isinstance(self.device, str) else self.device
        device = self._open(first)
        try:
            options = self.options
            return Inference(
                graph, weights, device, model=options.model, residual=options.residual,
                epsilon=options.epsilon, serial=options.serial,
            ).logits()  # fmt: skip
        finally:
            self._close(device)

    def predict(self, adjacency: Any = None, features: Any = None) -> NDArray[np.int64]:
        """Class of every node; of the fitted graph if left out."""
        classes: NDArray[np.int64] = self.decision_function(adjacency, features).argmax(axis=1)
        return classes

    def score(self, labels: Any, nodes: Any = None) -> float:
        """Accuracy on `nodes` of the fitted graph, indices or a mask; on all if left out."""
        predicted, known = self.predict(), np.asarray(labels)
        if known.shape != predicted.shape:
            raise DataError(
                f"labels have shape {known.shape}; try one for each of {len(predicted)} nodes"
            )
        everyone = np.arange(len(predicted))
        chosen = everyone if nodes is None else indices("nodes", nodes, len(predicted))
        if not len(chosen) or not np.isin(chosen, everyone).all():
            raise DataError(
                f"nodes are none or outside 0..{len(predicted) - 1}; try indices or a mask"
            )
        return float((predicted == known)[chosen].mean())

    def save(self, path: str | Path) -> None:
        """Write a checkpoint that ``fit(resume=...)``, and ``gcnloom infer`` read."""
        if self._checkpoint is None:
            raise LoomError("this GCN has no weights yet; try fit first")
        save_checkpoint(path, self._checkpoint)

    def _keep(self, trainer: FullBatch | GistTrainer, outcome: dict[str, Any]) -> None:
        self.history_: list[dict[str, Any]] = [asdict(epoch) for epoch in trainer.history]
        self.weights_ = trainer.best
        self.classes_ = np.arange(trainer.graph.classes)
        self.result_ = outcome

    def _trainer(
        self, graph: Graph, device: Device, communicator: Communicator
    ) -> TogetherTrainer | GistTrainer:
        if self.parallel == GIST:
            return GistTrainer(graph, self.options, device, communicator, **self._rounds)
        return trainer_together(
            graph, self.options, device, communicator, mode=self.parallel,
            sampling=self.sampling, pipeline=self.pipeline,
        )  # fmt: skip

    def _result(self, trainer: FullBatch, begin: float, build: float) -> dict[str, Any]:
        return result(trainer, **self._named(trainer.engine, begin, build))

    def _named(self, holder: Any, begin: float, build: float) -> dict[str, Any]:
        """Return what a result says of the device that the holder has, and of the time."""
        name = self.device if isinstance(self.device, str) else "open device"
        config = holder.device.config.digest
        return {"device": name, "config": config, "begin": begin, "build": build}

    def _graph(self, adjacency: Any, features: Any, labels: Any, *, train: Any, val: Any) -> Graph:
        labels = np.asarray(labels)
        nodes = labels.shape[0] if labels.ndim else 0
        return Graph(
            name="graph", adjacency=adjacency, features=features, labels=labels,
            train=indices("train", train, nodes), val=indices("val", val, nodes),
            test=np.zeros(0, dtype=np.int64),
        )  # fmt: skip

    def _open(self, device: str | Device) -> Device:
        if isinstance(device, Device):
            return device
        if self.memory_megabytes is None:
            return open(device)
        return open(device, memory_megabytes=self.memory_megabytes)

    def _close(self, device: Device) -> None:
        if device is not self.device:
            device.close()
