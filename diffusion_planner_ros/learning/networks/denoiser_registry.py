# Copyright 2026 diffusion_planner_ros developers
# SPDX-License-Identifier: Apache-2.0
"""
The denoisers that can be trained, by name; a new one is one more line in ``DENOISERS``.

A builder stands here as text, ``module:function``, and is imported when a network is built: the
names alone must not load torch. Another package adds its own denoiser in one of two ways: with a
line ``DENOISERS['name'] = 'module:function'``, or with an entry point of the group
``diffusion_planner_ros.denoisers``, which the command line finds, too.
"""

from importlib.metadata import entry_points

GROUP = 'diffusion_planner_ros.denoisers'

# Each builder takes the TrainConfig and D, the length of a row, and returns a torch module that
# maps x_t (B, H, D), diffusion times t (B,) and what is known, true or false (B, H, D), to x_0 or
# eps (B, H, D).
DENOISERS = {
    'mlp': 'diffusion_planner_ros.learning.networks.residual_mlp:build',
    'unet': 'diffusion_planner_ros.learning.networks.temporal_unet:build',
    'transformer': 'diffusion_planner_ros.learning.networks.transformer:build',
    **{point.name: point.value for point in entry_points(group=GROUP)},
}
