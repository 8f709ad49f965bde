"""Can a classifier tell two sets of draws apart? The measure of Lueckmann et al. 2021."""

from __future__ import annotations

import numpy as np
from sklearn.model_selection import KFold, cross_val_score
from sklearn.neural_network import MLPClassifier
from torch import Tensor

__all__ = ["c2st"]


def c2st(reference: Tensor, draws: Tensor, *, seed: int = 1) -> float:
    """Accuracy of a classifier between two sets of draws: 0.5 equal, 1 fully apart.

    Network, standardisation by the reference, folds and budget are those of sbibm 1.1.0, which
    the published figures were measured with (Lueckmann et al. 2021, after Lopez-Paz & Oquab 2017).

    Parameters
    ----------
    reference, draws : (M, D), (N, D)
        Best of one size: accuracy would else reward naming the larger set.
    seed : int
        Of the folds and of the classifier's first weights.

    Returns
    -------
    float
        Mean over five folds.
    """
    spread, centre = reference.std(dim=0), reference.mean(dim=0)
    sets = [((x - centre) / spread).cpu().numpy() for x in (reference, draws)]
    label = np.repeat([0, 1], [len(x) for x in sets])
    width = 10 * reference.shape[1]
    classifier = MLPClassifier(
        hidden_layer_sizes=(width, width),
        activation="relu",
        solver="adam",
        max_iter=10_000,
        random_state=seed,
    )
    folds = KFold(n_splits=5, shuffle=True, random_state=seed)
    return float(cross_val_score(classifier, np.concatenate(sets), label, cv=folds).mean())
