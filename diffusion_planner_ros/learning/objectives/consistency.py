# Copyright 2026 diffusion_planner_ros developers
# SPDX-License-Identifier: Apache-2.0
"""
Consistency distillation: one denoising step that leads where many small ones of a teacher lead.

Song et al. (2023), https://arxiv.org/abs/2303.01469, Algorithm 2, with neighbouring diffusion
times and the deterministic step of DDIM as the solver.
"""

import torch
from torch import Tensor

from ..diffusion import Diffusion


@torch.no_grad()
def consistency_target(teacher: Diffusion, student: Diffusion, x_t: Tensor, t: Tensor,
                       known: Tensor) -> Tensor:
    """
    Return what a student should predict from x_t: what it predicts one teacher's step later.

    :param teacher: does not learn.
    :param student: the averaged one that learns.
    :param x_t: noised windows, what is known kept clean, shape (B, H, D).
    :param t: diffusion times, 0 to T - 1, shape (B,).
    :param known: true where x_t is known, shape (B, H, D).
    :return: shape (B, H, D).
    """
    x_0 = teacher(x_t, t, known)
    s = (t - 1).clamp(min=0)

    def at(times: Tensor, levels: Tensor) -> Tensor:
        return levels[times][:, None, None]
    eps = (x_t - at(t, teacher.sqrt_alpha_bar) * x_0) / at(t, teacher.sqrt_one_minus_alpha_bar)
    x_s = at(s, teacher.sqrt_alpha_bar) * x_0 + at(s, teacher.sqrt_one_minus_alpha_bar) * eps
    # The last step of the teacher ends at x_0 itself.
    is_last = (t == 0)[:, None, None]
    return torch.where(is_last, x_0, student(torch.where(known, x_t, x_s), s, known))
