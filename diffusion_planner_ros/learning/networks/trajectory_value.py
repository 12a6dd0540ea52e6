"""Value of a trajectory, noised or not."""

from torch import nn, Tensor

from .layers import ResidualTrunk


class TrajectoryValue(nn.Module):
    """
    V(tau, t): the normalised return-to-go of a window seen at diffusion time t (Hu 2024).

    A window without noise has a time of its own, ``CLEAN``: at time 0 there is some noise already.
    """

    def __init__(self, horizon: int, row_dim: int, width: int, depth: int) -> None:
        super().__init__()
        self.trunk = ResidualTrunk(horizon * row_dim, 1, width, depth)

    def forward(self, x_t: Tensor, t: Tensor) -> Tensor:
        """Predict the normalised value (B,) of x_t (B, H, D) at t (B,), CLEAN to T - 1."""
        return self.trunk(x_t.flatten(1), t)[:, 0]
