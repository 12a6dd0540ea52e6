"""The guide that every bundle brings along: the learned value."""

from typing import TYPE_CHECKING

from numpy.typing import NDArray

if TYPE_CHECKING:
    from ..bundle import Bundle


class LearnedValue:
    """
    Predicted discounted return [standard deviations of the returns in the data] (Hu 2024).

    :param bundle: whose value network is asked.
    """

    def __init__(self, bundle: 'Bundle') -> None:
        self._bundle = bundle

    def value(self, x_0: NDArray) -> NDArray:
        """Return the normalised value (N,) of clean trajectories (N, H, D)."""
        return self._bundle.clean_value(x_0)

    def gradient(self, x_t: NDArray, t: int) -> NDArray:
        """Return its gradient (N, H, D) at x_t (N, H, D) of diffusion time t."""
        return self._bundle.value_gradient(x_t, t)
