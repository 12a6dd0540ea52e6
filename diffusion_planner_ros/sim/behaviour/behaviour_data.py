# Copyright 2026 diffusion_planner_ros developers
# SPDX-License-Identifier: Apache-2.0
"""Behaviour data of simulated robots: as D4RL has them, poor ones, those of a robust teacher."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ...data.minari_format import write_minari
from ...episode import Episode
from ...errors import DatasetError
from ...robots.task import Task
from ..environment import make_environment
from ..mjcf import quiet_compiler
from ..perturbation import UNPERTURBED
from ..perturbation_ranges import Robots
from ..rollout import rollout_together
from .behaviour_policy import Checkpoint, CHECKPOINT_TRANSITIONS, Learned
from .curriculum import Mixture
from .gaussian_policy import GaussianPolicy

# Each episode explores with one of these shares of the policy's own noise: the quiet ones show how
# good the policy is, the loud ones how it recovers.
NOISE_SHARES = (0.0, 0.5, 1.0)
MEDIUM_SHARE = (1.0 / 3.0, 1.0 / 2.0)  # of the expert's return
POOR_SHARE = (1.0 / 6.0, 1.0 / 4.0)
N_POOR_TRANSITIONS = 50_000  # at most: what a first, bad controller might have recorded
N_SIMULATORS = 16
POLICY_SEEDS = range(50)  # a policy's return is its mean over these, without noise
N_EXPERT_CANDIDATES = 8
TEACHER_FILE = 'teacher.npz'  # beside the robust data


@dataclass(frozen=True)
class RecordedData:
    """One data set, ready to be written."""

    robot: str
    """Name of the robot."""
    name: str
    episodes: list[Episode]
    policy_return: float
    """Mean return of the best policy in it, without noise, over seeds 0 to 49 and, in robust
    data, over robots drawn from them."""
    policy: GaussianPolicy | None = None
    """That policy, where it is to be kept with the data."""
    algorithm: str = 'PPO (stable-baselines3)'
    """What chose the actions."""
    has_task_rewards: bool = True
    """Whether the rewards are those of the robot's task, so that returns can be scored."""


def run_policy(robot: str, policy: GaussianPolicy, *, seeds: Sequence[int], noise_share: NDArray,
               rng: np.random.Generator, robots: Robots | Mixture = UNPERTURBED,
               n_steps: int | None = None) -> list[Episode]:
    """
    Run one episode for every seed, all at once.

    Episodes hold the executed actions and, beside them, the policy's own without noise.

    :param robot: name of the robot.
    :param seeds: of the initial states, n.
    :param noise_share: of the policy's noise in each episode, shape (n,).
    :param rng: draws the noise.
    :param robots: that act.
    :param n_steps: time limit [control periods]; that of the robot by default.
    """
    environments = [make_environment(robot, robots.draw(seed)) for seed in seeds]
    for environment, seed in zip(environments, seeds, strict=True):
        environment.reset(seed)
    limit = environments[0].torque_limit
    own: list[list[NDArray]] = [[] for _ in seeds]

    def act(states: NDArray, robots: NDArray, step: int) -> NDArray:
        del step
        noise = noise_share[:, None] * rng.standard_normal((len(seeds), len(limit)))
        mean, std = policy.distribution(states)
        for i, action in zip(robots, np.clip(mean, -1.0, 1.0), strict=True):
            own[i].append(action)
        return np.clip(mean + noise[robots] * std, -1.0, 1.0) * limit

    return [replace(episode, policy_actions=np.array(actions))
            for episode, actions in zip(rollout_together(environments, act, n_steps=n_steps),
                                        own, strict=True)]


def policy_return(robot: str, policy: GaussianPolicy, robots: Robots | Mixture = UNPERTURBED
                  ) -> float:
    """Mean return without noise over ``POLICY_SEEDS``."""
    episodes = run_policy(robot, policy, seeds=POLICY_SEEDS,
                          noise_share=np.zeros(len(POLICY_SEEDS)),
                          rng=np.random.default_rng(0), robots=robots)
    return float(np.mean([e.total_return for e in episodes]))


def gather(robot: str, policy: GaussianPolicy, *, n_transitions: int, seed: int,
           on_progress: Callable[..., None], robots: Robots | Mixture = UNPERTURBED
           ) -> list[Episode]:
    """Run whole episodes until they hold at least ``n_transitions`` steps."""
    rng = np.random.default_rng(seed)
    episodes: list[Episode] = []
    n_gathered = 0
    while n_gathered < n_transitions:
        batch = run_policy(robot, policy, seeds=rng.integers(2**31, size=N_SIMULATORS).tolist(),
                           noise_share=rng.choice(NOISE_SHARES, size=N_SIMULATORS), rng=rng,
                           robots=robots)
        episodes += batch
        n_batch = sum(len(e) for e in batch)
        n_gathered += n_batch
        on_progress(n_batch, ret=f'{np.mean([e.total_return for e in batch]):.0f}')
    return episodes


def find_expert(learned: Learned, robots: Robots | Mixture = UNPERTURBED
                ) -> tuple[Checkpoint, float]:
    """Return the best of the most promising checkpoints, and its return."""
    if not learned.checkpoints:
        raise DatasetError('PPO learned from too few transitions to save a policy, expected at '
                           f'least {CHECKPOINT_TRANSITIONS}')
    hardest = max(checkpoint.share for checkpoint in learned.checkpoints)
    promising = sorted((c for c in learned.checkpoints if c.share == hardest),
                       key=lambda c: c.training_return)
    scored = [(policy_return(learned.robot, c.policy, robots), c)
              for c in promising[-N_EXPERT_CANDIDATES:]]
    best_return, best = max(scored, key=lambda pair: pair[0])
    return best, best_return


def find_between(learned: Learned, low: float, high: float) -> tuple[Checkpoint, float]:
    """
    Return the first checkpoint with a return from ``low`` to ``high``, and its return.

    Where none falls into that band, the one nearest to its middle is taken.
    """
    tried = []
    promising = [c for c in learned.checkpoints if c.training_return >= low / 2]
    for checkpoint in promising or learned.checkpoints:
        score = policy_return(learned.robot, checkpoint.policy)
        tried.append((abs(score - (low + high) / 2), checkpoint, score))
        if low <= score <= high:
            return checkpoint, score
        if checkpoint.training_return > high:
            break
    _, checkpoint, score = min(tried, key=lambda entry: entry[0])
    return checkpoint, score


def collect(learned: Learned, *, n_transitions: int, seed: int,
            on_progress: Callable[..., None]) -> list[RecordedData]:
    """
    Make the data sets from one PPO run.

    :param n_transitions: of the medium and of the expert data.
    :param seed: seed of the initial states and the exploration.
    :param on_progress: called with the number of transitions gathered since the last call, and
        ``ret``, their mean return in words.
    """
    robot = learned.robot
    expert, expert_return = find_expert(learned)
    medium, medium_return = find_between(
        learned, *(share * expert_return for share in MEDIUM_SHARE))
    poor, poor_return = find_between(learned, *(share * expert_return for share in POOR_SHARE))
    medium_episodes = gather(robot, medium.policy, n_transitions=n_transitions, seed=seed,
                             on_progress=on_progress)
    expert_episodes = gather(robot, expert.policy, n_transitions=n_transitions, seed=seed + 1,
                             on_progress=on_progress)
    poor_episodes = gather(robot, poor.policy, seed=seed + 2, on_progress=on_progress,
                           n_transitions=min(n_transitions, N_POOR_TRANSITIONS))
    return [
        RecordedData(robot, 'medium', medium_episodes, medium_return),
        RecordedData(robot, 'medium-replay', learned.episodes[:medium.n_episodes], medium_return),
        RecordedData(robot, 'medium-expert', medium_episodes + expert_episodes, expert_return),
        RecordedData(robot, 'expert', expert_episodes, expert_return),
        RecordedData(robot, 'poor', poor_episodes, poor_return),
    ]


def collect_robust(learned: Learned, robots: Robots | Mixture, *, n_transitions: int, seed: int,
                   on_progress: Callable[..., None]) -> list[RecordedData]:
    """
    Make the robust data sets from a PPO run that learned on robots drawn at random.

    ``robust`` is recorded with its best policy, the teacher, on such robots; ``robust-replay`` is
    a part of what the run saw, evenly over its time.

    :param robots: on which the run learned.
    :param n_transitions: of each data set.
    :param seed: seed of the initial states, the robots and the exploration.
    :param on_progress: called with the number of transitions gathered since the last call, and
        ``ret``, their mean return in words.
    """
    teacher, teacher_return = find_expert(learned, robots)
    episodes = gather(learned.robot, teacher.policy, n_transitions=n_transitions, seed=seed,
                      robots=robots, on_progress=on_progress)
    every = max(1, sum(map(len, learned.episodes)) // n_transitions)
    return [RecordedData(learned.robot, 'robust', episodes, teacher_return, teacher.policy),
            RecordedData(learned.robot, 'robust-replay', learned.episodes[::every],
                         teacher_return)]


def describe(data: RecordedData) -> dict[str, float | None]:
    """Facts of a data set that go into its metadata; without reference returns no scores."""
    mean, task = float(np.mean([e.total_return for e in data.episodes])), Task.load(data.robot)
    if not data.has_task_rewards:
        return {'mean_return': mean, 'policy_return': data.policy_return}
    return {
        'mean_return': mean,
        'normalized_score': task.normalized_score(mean),
        'policy_return': data.policy_return,
        'policy_normalized_score': task.normalized_score(data.policy_return),
    }


def write_data_set(root: Path, data: RecordedData, *, seed: int, n_learned: int) -> Path:
    """
    Write a Minari data set to ``root/ROBOT/NAME-v0`` and return that folder.

    :param seed: of the run that made the data, for the metadata.
    :param n_learned: transitions that the policies learned from, for the metadata.
    :raises DatasetError: if there is no complete episode to write.
    """
    if not data.episodes:
        raise DatasetError(f"data set '{data.name}' has no complete episode; collect more "
                           'transitions')
    task = Task.load(data.robot)
    known = task.reference_returns if data.has_task_rewards else None
    with quiet_compiler():  # Minari makes Gymnasium's environment
        folder = write_minari(
            root, f'{data.robot}/{data.name}-v0', data.episodes, environment=task.gymnasium,
            algorithm=data.algorithm,
            reference_returns=None if known is None else (known.random, known.expert),
            description=f'{task.gymnasium or data.robot}, {data.name}, made by diffusion_planner '
            'collect',
            metadata={'seed': seed, 'n_learned_transitions': n_learned, **describe(data)})
    if data.policy is not None:
        data.policy.save(folder / TEACHER_FILE)
    return folder
