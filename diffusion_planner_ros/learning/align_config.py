# Copyright 2026 diffusion_planner_ros developers
# SPDX-License-Identifier: Apache-2.0
"""Settings of an online alignment."""

from dataclasses import dataclass
from typing import Literal

from ..settings import check_settings, document_settings, setting


@document_settings
@dataclass(frozen=True)
class AlignConfig:
    """How a model learns from the plans that were executed."""

    n_steps: int = setting(100_000, 'Steps of the robot to learn from.', low=1, high=1_000_000_000)
    settle_steps: int = setting(
        25_000, 'Last steps of the robot, executed without exploration and imitated all alike: '
        'the model settles on what it does.', low=0, high=1_000_000_000)
    round_steps: int = setting(
        10_000, 'Steps of the robot between updates.', low=1,
        high=1_000_000_000)
    guard_every: int = setting(
        3, 'Rounds between evaluations by the guard.',
        low=1, high=1_000_000)
    guard_episodes: int = setting(
        10, 'Episodes of an evaluation by the guard; always the same seeds.', low=2, high=1000)
    n_execute: int = setting(
        2, 'Actions executed of every plan; the horizon in Algorithm 2.', low=1,
        high=1024)
    n_candidates: int = setting(
        8, 'Candidates of an executed plan; 1 in Algorithm 2, which ranks nothing.', low=1,
        high=256)
    exploration: float = setting(
        0.15, 'Standard deviation of noise on executed actions.', unit='torque limits', low=0.0,
        high=1.0)
    recovery_push: float = setting(
        0.0, 'Impulse of a push on the torso at every second, until the model settles: it learns '
        'how to recover.', unit='N s', low=0.0, high=100.0)
    offline_share: float = setting(
        0.25, 'Share of the offline data in a batch at the beginning; 0 learns from executed '
        'plans alone, as Algorithm 2 does.', low=0.0, high=1.0)
    offline_steps: int = setting(
        100_000, 'Steps of the robot until offline_share has fallen to 0; 0 keeps it.', low=0,
        high=1_000_000_000)
    recent_steps: int = setting(
        40_000, 'Last steps of the robot that the denoiser imitates; 0 for all.',
        low=0, high=1_000_000_000)
    weighting: Literal['none', 'advantage'] = setting(
        'advantage', 'Windows that the denoiser imitates: all alike, or rather those that turned '
        'out better than expected.')
    gae_lambda: float = setting(
        0.95, 'With weighting: how far the advantage looks ahead, from one step (0) to the end of '
        'the episode (1).', low=0.0, high=1.0)
    temperature: float = setting(
        1.0, 'With weighting: the advantage that makes a window e times as likely.',
        unit='standard deviations of the advantage', low=0.01, high=100.0)
    value_times: Literal['asked', 'even'] = setting(
        'asked', 'Diffusion times at which the value learns: mostly those at which it will be '
        'asked, half of the windows without noise and a quarter with the most (asked), or all '
        'times alike, as in Algorithm 2 (even).')
    value_first_steps: int = setting(
        0, 'Steps of the robot from which only value and dynamics model learn, at the beginning.',
        low=0, high=1_000_000_000)
    updates_per_step: float = setting(
        0.04, 'Gradient steps per step of the robot.',
        low=0.0, high=100.0)
    settle_updates_per_step: float = setting(
        0.08, 'Gradient steps per step of the robot while the model settles.',
        low=0.0, high=100.0)
    batch_size: int = setting(256, 'Windows per gradient step.', low=1, high=65_536)
    learning_rate: float = setting(3e-4, 'Learning rate of the denoiser.', low=1e-8, high=1.0)
    value_learning_rate: float = setting(3e-4, 'Learning rate of the value.', low=1e-8, high=1.0)
    dynamics_learning_rate: float = setting(
        1e-3, 'Learning rate of the dynamics model.',
        low=1e-8, high=1.0)
    ema_decay: float = setting(0.995, 'Decay of the averaged weights.', low=0.0, high=0.99999)
    seed: int = setting(0, 'Seed of batches, noise and initial states.', low=0, high=1000)
    n_threads: int = setting(1, 'CPU threads of the updates.', low=1, high=1024)

    def __post_init__(self) -> None:
        check_settings(self)
