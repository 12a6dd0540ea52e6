# Copyright 2026 diffusion_planner_ros developers
# SPDX-License-Identifier: Apache-2.0
"""Behaviour data at commanded speeds: one policy that is told how fast to be."""

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from ...episode import Episode
from ..perturbation import UNPERTURBED
from ..perturbation_ranges import Robots
from ..rollout import rollout_together
from .behaviour_data import N_SIMULATORS, NOISE_SHARES, POLICY_SEEDS, RecordedData
from .behaviour_policy import Checkpoint, Learned
from .commanded_env import forward_entry, unhurried
from .curriculum import Mixture
from .gaussian_policy import GaussianPolicy
from .speed_commands import following_reward, SpeedCommands

N_CANDIDATES = 8  # latest checkpoints that are compared


def run_commanded(robot: str, policy: GaussianPolicy, commands: SpeedCommands, *,
                  seeds: Sequence[int], noise_share: NDArray, rng: np.random.Generator,
                  robots: Robots | Mixture = UNPERTURBED) -> tuple[list[Episode], float]:
    """
    Run one episode for every seed, all at once, at drawn speeds.

    :param policy: of observations ``[state | command]``.
    :param seeds: of the initial states and the commands, n.
    :param noise_share: of the policy's noise in each episode, shape (n,).
    :param rng: draws the noise.
    :param robots: that act.
    :return: episodes with rewards that do not depend on speed, and the mean return for staying
        healthy and following the commands.
    """
    environments = [unhurried(robot, robots.draw(seed)) for seed in seeds]
    first = environments[0]
    told = np.array([commands.draw(seed, n_steps=first.max_episode_steps,
                                   control_period=first.control_period) for seed in seeds])
    for environment, seed in zip(environments, seeds, strict=True):
        environment.reset(seed)
    own: list[list[NDArray]] = [[] for _ in seeds]

    def act(states: NDArray, robots: NDArray, step: int) -> NDArray:
        noise = noise_share[:, None] * rng.standard_normal((len(seeds), len(first.torque_limit)))
        mean, std = policy.distribution(np.column_stack([states, told[robots, step]]))
        for i, action in zip(robots, np.clip(mean, -1.0, 1.0), strict=True):
            own[i].append(action)
        return np.clip(mean + noise[robots] * std, -1.0, 1.0) * first.torque_limit

    episodes = [replace(episode, policy_actions=np.array(actions), commands=row[:len(episode)])
                for episode, actions, row in zip(rollout_together(environments, act), own, told,
                                                 strict=True)]
    forward = forward_entry(first)
    returns = [e.total_return + np.sum(following_reward(e.observations[1:, forward], row[:len(e)]))
               for e, row in zip(episodes, told, strict=True)]
    return episodes, float(np.mean(returns))


def best_follower(learned: Learned, commands: SpeedCommands) -> tuple[Checkpoint, float]:
    """Return the best of the latest checkpoints, and its return with what following is worth."""
    def score(checkpoint: Checkpoint) -> float:
        return run_commanded(learned.robot, checkpoint.policy, commands, seeds=POLICY_SEEDS,
                             noise_share=np.zeros(len(POLICY_SEEDS)),
                             rng=np.random.default_rng(0))[1]

    scored = [(score(c), c) for c in learned.checkpoints[-N_CANDIDATES:]]
    best_return, best = max(scored, key=lambda pair: pair[0])
    return best, best_return


def collect_speeds(learned: Learned, commands: SpeedCommands, *, n_transitions: int, seed: int,
                   on_progress: Callable[[int], None], robots: Robots | Mixture = UNPERTURBED
                   ) -> list[RecordedData]:
    """
    Make the data set ``speeds`` from a PPO run that was told how fast to be.

    :param commands: speeds that are recorded.
    :param n_transitions: at least that many; episodes are whole.
    :param seed: seed of the initial states, the commands and the exploration.
    :param on_progress: called with the number of transitions gathered since the last call.
    :param robots: that act.
    """
    best, best_return = best_follower(learned, commands)
    rng = np.random.default_rng(seed)
    episodes: list[Episode] = []
    n_gathered = 0
    while n_gathered < n_transitions:
        batch, _ = run_commanded(
            learned.robot, best.policy, commands, rng=rng, robots=robots,
            seeds=rng.integers(2**31, size=N_SIMULATORS).tolist(),
            noise_share=rng.choice(NOISE_SHARES, size=N_SIMULATORS))
        episodes += batch
        n_batch = sum(len(e) for e in batch)
        n_gathered += n_batch
        on_progress(n_batch)
    return [RecordedData(learned.robot, 'speeds', episodes, best_return, best.policy,
                         has_task_rewards=False)]
