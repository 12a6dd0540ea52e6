# Copyright 2026 diffusion_planner_ros developers
# SPDX-License-Identifier: Apache-2.0
"""Two gaits in the data: a diffusion model keeps both, a Gaussian averages them."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
import tempfile
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...data.windows import Windows
from ...episode import Episode
from ...learning.onnx_export import TrainedModel
from ...learning.train_config import TrainConfig
from ...learning.trainer import train, Trainer
from ...planning.bundle import Bundle
from ...planning.planner import Planner
from ...planning.planner_config import PlannerConfig
from ...robot import Robot
from ...sim.behaviour.behaviour_data import run_policy
from ...sim.behaviour.gaussian_policy import GaussianPolicy
from ...sim.environment import Environment, make_environment
from ...sim.rollout import rollout
from ..bundle_export import export_model
from ..markdown import table
from ..progress import Progress, silent
from .gaussian_trajectories import GaussianTrajectories, learn_gaussian
from .mirrored_policy import mirrored_policy

N_STEPS = 80  # [control periods] of an episode: the gaits part in the first few
NOISE_SHARE = 0.5  # of the policy's own exploration
N_STARTS = 16  # initial states, none of them recorded, that trajectories are drawn from
N_DRAWN = 16  # trajectories from each
BETWEEN = 0.5  # of the way from the middle to either gait
PLANS = PlannerConfig(n_candidates=N_DRAWN, sampler='ddpm', n_denoise_steps=20)
CONFIG: dict[str, Any] = {
    'width': 128, 'depth': 3, 'learning_rate': 1e-3, 'ema_decay': 0.995,
    'first_action_weight': 1.0, 'value_width': 16, 'value_depth': 1, 'dynamics_width': 16,
    'dynamics_depth': 1, 'n_diffusion_steps': PLANS.n_denoise_steps}
RECORDED, DIFFUSION, GAUSSIAN = 'recorded', 'diffusion model', 'Gaussian'
GAUSSIAN_MEAN = 'Gaussian, mean'

Draw = Callable[[NDArray, int, int], NDArray]
"""From a state (S,), a seed and the number of the control period to trajectories (n, H, D)."""


@dataclass(frozen=True)
class GaitModels:
    """Two models of the same data."""

    episodes: tuple[list[Episode], list[Episode]]
    """Recorded with the policy, and with its mirror image."""
    bundle: Bundle
    """Of the diffusion model."""
    gaussian: GaussianTrajectories


@dataclass(frozen=True)
class GaitSamples:
    """Trajectories and walks from standing, by whose they are; the names are in this file."""

    trajectories: dict[str, NDArray]
    """Rows ``[a | s]`` [N m, SI], shape (n, H, D)."""
    gaits: dict[str, NDArray]
    """What ``gait_of`` says of them, shape (n,)."""
    walks: dict[str, list[Episode]]


def record_gaits(policy: GaussianPolicy, robot: Robot, *, n_episodes: int, seed: int
                 ) -> tuple[list[Episode], list[Episode]]:
    """
    Record the beginning of walks with a policy, and of as many with its mirror image.

    From nearly the same state, standing, the two lead with one leg or with the other.

    :param n_episodes: of each.
    :param seed: of noise and initial states; these are ``seed`` and those that follow.
    """
    rng = np.random.default_rng(seed)

    def walks(acting: GaussianPolicy, first: int) -> list[Episode]:
        return run_policy(robot.name, acting, seeds=range(first, first + n_episodes), rng=rng,
                          noise_share=np.full(n_episodes, NOISE_SHARE), n_steps=N_STEPS)

    return walks(policy, seed), walks(mirrored_policy(policy, robot), seed + n_episodes)


def learn_gaits(episodes: tuple[list[Episode], list[Episode]], robot: Robot, *, n_updates: int,
                seed: int, progress: Progress = silent) -> GaitModels:
    """
    Train a diffusion model and a Gaussian on the same windows.

    :param n_updates: gradient steps of each.
    :param seed: of weights, batches and noise.
    """
    config = TrainConfig(n_updates=n_updates, seed=seed, **CONFIG)
    windows = Windows.cut([*episodes[0], *episodes[1]], robot, config.horizon,
                          discount=config.discount, fall_penalty=config.fall_penalty)
    trainer = Trainer(config, robot, windows)
    with (tempfile.TemporaryDirectory() as scratch,
          progress('training a diffusion model', n_updates, unit='updates') as advance):
        folder = Path(scratch)
        file = train(trainer, folder, {}, on_update=lambda n_done, losses: advance(1))
        export_model(TrainedModel.load(file), folder / 'bundle', [], source=file)
        bundle = Bundle.load(folder / 'bundle')
    gaussian = learn_gaussian(windows, robot, bundle.normalizer, n_updates=n_updates, seed=seed,
                              progress=progress)
    return GaitModels(episodes, bundle, gaussian)


def gait_of(trajectories: NDArray, first: NDArray, second: NDArray, std: NDArray) -> NDArray:
    """
    Return where trajectories are on the line between the means of two gaits.

    :param trajectories: shape (n, H, D).
    :param first: trajectories of one gait, shape (m, H, D).
    :param second: of the other one.
    :param std: of every entry, which they are measured in, shape (D,).
    :return: -1 at the first gait's mean, 1 at the second's, shape (n,).
    """
    one, other = first.mean(axis=0), second.mean(axis=0)
    way = (other - one) / std
    offset = (trajectories - (one + other) / 2) / std
    return 2.0 * (offset * way).sum(axis=(1, 2)) / np.square(way).sum()


def draw_gaits(models: GaitModels, *, first_seed: int) -> GaitSamples:
    """
    Draw trajectories of both models from standing, and walk with them.

    A walk executes a whole trajectory, then draws the next one; the Gaussian walks with its mean.

    :param first_seed: of the initial states and all noise; these count up from it.
    """
    bundle, walker = models.bundle, make_environment('walker2d')
    robot, seeds = bundle.robot, range(first_seed, first_seed + N_STARTS)
    draws: dict[str, Draw] = {
        name: partial(draw, models)
        for name, draw in ((DIFFUSION, _diffusion), (GAUSSIAN, _gaussian),
                           (GAUSSIAN_MEAN, _gaussian_mean))}
    first, second = (np.stack([_first_window(e, bundle.horizon, robot) for e in part])
                     for part in models.episodes)
    trajectories = {RECORDED: np.concatenate([first, second])} | {
        name: np.concatenate([draw(walker.reset(seed), seed, 0) for seed in seeds])
        for name, draw in draws.items()}
    walks = {RECORDED: [e for part in models.episodes for e in part[:N_STARTS // 2]]} | {
        name: [_walk(walker, seed, draws[name], bundle) for seed in seeds]
        for name in (DIFFUSION, GAUSSIAN_MEAN)}
    std = bundle.normalizer.std
    return GaitSamples(trajectories, {name: gait_of(drawn, first, second, std)
                                      for name, drawn in trajectories.items()}, walks)


def _diffusion(models: GaitModels, state: NDArray, seed: int, step: int) -> NDArray:
    return Planner(models.bundle, replace(PLANS, seed=seed)).plan(state, step=step).candidates


def _gaussian(models: GaitModels, state: NDArray, seed: int, step: int) -> NDArray:
    mean, std = models.gaussian.distribution(state)
    rng = np.random.default_rng((seed, step))
    return _within_limits(mean + std * rng.standard_normal((N_DRAWN, *mean.shape)), models)


def _gaussian_mean(models: GaitModels, state: NDArray, seed: int, step: int) -> NDArray:
    del seed, step
    mean, _ = models.gaussian.distribution(state)
    return _within_limits(mean[None], models)


def _within_limits(trajectories: NDArray, models: GaitModels) -> NDArray:
    robot = models.bundle.robot
    limit = np.concatenate([robot.torque_limit, np.full(robot.state_dim, np.inf)])
    return np.clip(trajectories, -limit, limit)


def _first_window(episode: Episode, horizon: int, robot: Robot) -> NDArray:
    return np.concatenate([episode.actions[:horizon] * robot.torque_limit,
                           episode.observations[:horizon]], axis=1)


def _walk(walker: Environment, seed: int, draw: Draw, bundle: Bundle) -> Episode:
    """Execute all actions of a trajectory but the last, draw the next one, and so on."""
    actions = np.empty((0, bundle.robot.action_dim))

    def control(state: NDArray, step: int) -> NDArray:
        nonlocal actions
        row = step % (bundle.horizon - 1)
        if row == 0:
            actions = draw(state, seed, step)[0, :, :bundle.robot.action_dim]
        return actions[row]

    walker.reset(seed)
    return rollout(walker, control, n_steps=N_STEPS)


def leg_difference(episode: Episode, robot: Robot) -> NDArray:
    """Return the angle of the right thigh less that of the left one [rad], shape (n + 1,)."""
    right, left = (episode.observations[:, robot.state_index(joint, 'position')]
                   for joint in ('thigh_joint', 'thigh_left_joint'))
    return right - left


def gaits_facts(found: GaitSamples, robot: Robot) -> dict[str, Any]:
    """Return the shares of trajectories near either gait, and what the legs do in walks."""
    facts = {'trajectories': {
        name: {'number': len(gaits), 'first_gait': float((gaits < -BETWEEN).mean()),
               'between': float((np.abs(gaits) <= BETWEEN).mean()),
               'second_gait': float((gaits > BETWEEN).mean())}
        for name, gaits in found.gaits.items()}}
    facts['walks'] = {
        name: {'number': len(walks), 'falls': sum(e.terminated for e in walks),
               'leg_difference_rad': float(np.mean(
                   [np.abs(leg_difference(e, robot)).mean() for e in walks]))}
        for name, walks in found.walks.items()}
    return facts


def gaits_table(facts: Mapping[str, Any]) -> str:
    """Write what ``gaits_facts`` says as a table in Markdown."""
    def walked(name: str) -> list[str]:
        if name not in facts['walks']:
            return ['', '']
        walks = facts['walks'][name]
        return [f'{walks["leg_difference_rad"]:.2f}', f'{walks["falls"]} of {walks["number"]}']
    return table(
        ('from standing', 'trajectories', 'first gait', 'between', 'second gait',
         'walks: thighs apart [rad]', 'falls'),
        [(name, f['number'], *(f'{f[key]:.0%}' for key in (
            'first_gait', 'between', 'second_gait')), *walked(name))
         for name, f in facts['trajectories'].items()])
