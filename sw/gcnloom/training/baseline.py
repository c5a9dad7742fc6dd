# SPDX-License-Identifier: Apache-2.0
"""What the features alone give: logistic regression on the same labels."""

import warnings

from gcnloom.errors import DataError
from gcnloom.graphs.graph import Graph

__all__ = ["logistic_regression"]


def logistic_regression(graph: Graph) -> float | None:
    """Test accuracy of scikit-learn's logistic regression on the training nodes' features.

    None where there are no nodes to test on; one class alone needs no regression.
    """
    known, asked = graph.labels[graph.train], graph.labels[graph.test]
    if not len(asked):
        return None
    if (known == known[0]).all():
        return float((asked == known[0]).mean())
    try:
        from sklearn.exceptions import ConvergenceWarning
        from sklearn.linear_model import LogisticRegression
    except ImportError as error:
        raise DataError(
            "the baseline needs scikit-learn; try `pip install 'gcnloom[data]'`"
        ) from error
    model = LogisticRegression(max_iter=2000)
    with warnings.catch_warnings():
        # Not quite converged is good enough to compare with.
        warnings.simplefilter("ignore", ConvergenceWarning)
        model.fit(graph.features[graph.train], known)
    return float(model.score(graph.features[graph.test], asked))
