# Copyright 2026 diffusion_planner_ros developers
# SPDX-License-Identifier: Apache-2.0
"""What a guide is, and the sum of several."""

from collections.abc import Mapping, Sequence
from functools import reduce
from operator import add
from typing import Protocol

from numpy.typing import NDArray


class Guide(Protocol):
    """
    A scalar preference of trajectories: the logarithm of a probability, up to a constant.

    Denoising adds the weighted gradients of all guides, ranking adds their weighted values. A
    trajectory is normalised, see ``Bundle.normalizer``; rows are ``[a | s]``. A guide is built
    from the bundle and ``GuideTargets``.
    """

    def value(self, x_0: NDArray) -> NDArray:
        """Return the preference (N,) of clean trajectories (N, H, D)."""
        ...

    def gradient(self, x_t: NDArray, t: int) -> NDArray:
        """
        Return the gradient of the preference with respect to x_t, both (N, H, D).

        :param t: diffusion time of x_t, from T - 1 (the most noise) to 0, or ``CLEAN``.
        """
        ...


class WeightedGuides:
    """
    The weighted sum of guides.

    :param guides: by name, at least one.
    :param weights: of the guides, in their order.
    """

    def __init__(self, guides: Mapping[str, Guide], weights: Sequence[float]) -> None:
        self._guides = guides
        self._weights = dict(zip(guides, weights, strict=True))

    def values(self, x_0: NDArray) -> dict[str, NDArray]:
        """Return the preference (N,) that each guide has for trajectories (N, H, D), by name."""
        return {name: guide.value(x_0) for name, guide in self._guides.items()}

    def score(self, values: Mapping[str, NDArray]) -> NDArray:
        """Return the weighted sum (N,) of what ``values`` returned."""
        return reduce(add, (self._weights[name] * value for name, value in values.items()))

    def gradient(self, x_t: NDArray, t: int) -> NDArray:
        """Return the gradient of the weighted sum at x_t, shape (N, H, D)."""
        return reduce(add, (self._weights[name] * guide.gradient(x_t, t)
                            for name, guide in self._guides.items()))
