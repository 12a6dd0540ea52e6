# Copyright 2026 diffusion_planner_ros developers
# SPDX-License-Identifier: Apache-2.0
"""Write a learned policy as ONNX, checked against torch."""

from pathlib import Path

import numpy as np
import torch
from torch import nn, Tensor

from ....errors import ModelError
from ....learning.onnx_export import export_policy
from ...bundle_export import MAX_DIFFERENCE
from .onnx_policy import OnnxPolicy, POLICY_FILE


def write_policy(policy: nn.Module, states: Tensor, folder: Path) -> None:
    """
    Write ``folder/policy.onnx``.

    :param policy: maps states (B, S) [SI] to actions (B, A) [torque limits].
    :param states: to compare onnxruntime with torch on, shape (n, S).
    :raises ModelError: if they disagree, or the policy's actions are not finite.
    """
    policy.eval()
    with torch.no_grad():
        # Before the export: what a policy computes at its first call must not be a tracer's.
        expected = policy(states).numpy()
    export_policy(policy, states.shape[1], folder / POLICY_FILE)
    found, _ = OnnxPolicy.load(folder).distribution(states.numpy())
    difference = float(np.abs(found - expected).max())
    if not difference <= MAX_DIFFERENCE:
        raise ModelError(f'{folder / POLICY_FILE}: actions of onnxruntime and torch differ by '
                         f'{difference:.2e}, expected at most {MAX_DIFFERENCE:.0e}')
