"""Training with a loss of several terms."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import keras


class WeightedTerms(keras.Model):
    """Base of models that train a network with a weighted sum of terms, each tracked by name.

    A subclass overrides ``compute_loss`` and returns `add_up` of its terms there. ``fit`` then
    logs the mean of every term beside the loss.

    Args:
        network: The network to train.
        weights: Weight of each term by name, in the order in which they are added up.
    """

    def __init__(self, network: keras.Model, weights: Mapping[str, float]) -> None:
        super().__init__()
        self.network = network
        self.term_weights = dict(weights)
        self.trackers = [keras.metrics.Mean(name=name) for name in weights]

    def call(self, low: Any) -> Any:
        """Return what the network makes of the photos."""
        return self.network(low)

    def add_up(self, *terms: Any) -> Any:
        """Track the terms, scalars in the order of the weights, and return their weighted sum."""
        for tracker, term in zip(self.trackers, terms, strict=True):
            tracker.update_state(term)
        weights = self.term_weights.values()
        return sum(weight * term for weight, term in zip(weights, terms, strict=True))
