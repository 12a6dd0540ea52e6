# Copyright 2026 diffusion_planner_ros developers
# SPDX-License-Identifier: Apache-2.0
"""
Values of better than average behaviour, without ever asking for an action that was not recorded.

Implicit Q-learning (Kostrikov et al. 2022, https://arxiv.org/abs/2110.06169): the value of a state
is an upper expectile of the values of what was done there, and the value of a window is what was
recorded in it and the value of the state that it ends in.
"""

import torch
from torch import Tensor


def expectile_loss(errors: Tensor, expectile: float) -> Tensor:
    """
    Return the mean squared error, too small an estimate weighted with ``expectile`` (eq. 5).

    :param errors: target less estimate, any shape.
    :param expectile: above 0 and below 1, the weight of positive errors; 0.5 gives the mean.
    """
    weight = torch.where(errors > 0, expectile, 1.0 - expectile)
    return (weight * errors ** 2).mean()


def bootstrapped_returns(values: Tensor, end_values: Tensor, expected: Tensor, fallen: Tensor,
                         discount: float) -> Tensor:
    """
    Return the rewards of windows, and the expected value of the states that they end in.

    The rewards are in the difference of the recorded returns at both ends.

    :param values: recorded return-to-go of the first rows, shape (B,).
    :param end_values: that of the last rows, shape (B,).
    :param expected: values expected in the last states, shape (B,).
    :param fallen: whether the robot has fallen there: nothing follows but the penalty, (B,).
    :param discount: from the first to the last row.
    """
    return values + discount * torch.where(fallen, 0.0, expected - end_values)
