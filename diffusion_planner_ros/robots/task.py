# Copyright 2026 diffusion_planner_ros developers
# SPDX-License-Identifier: Apache-2.0
"""What a simulated robot is and is to do: its model, reward, end and beginning of an episode."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..errors import RobotError
from .reaching import Reaching
from .robot_folder import read_yaml, robot_folder, TASK_FILE
from .yaml_section import REQUIRED, YamlSection

MAX_STEPS = 1_000_000  # of an episode or a control period


@dataclass(frozen=True)
class InitialNoise:
    """Noise on the joints at the beginning of an episode, drawn anew for each."""

    position_bound: float
    """Of the uniform noise on every position [m, rad]."""
    velocity_bound: float | None
    """Of the uniform noise on every velocity [m/s, rad/s]; None where the noise is normal."""
    velocity_std: float | None
    """Standard deviation of the normal noise [m/s, rad/s]; None where it is uniform."""


@dataclass(frozen=True)
class Health:
    """Open ranges in which a robot is healthy."""

    positions: Mapping[str, tuple[float, float]]
    """Of positions, by joint [m, rad]."""
    others: tuple[float, float] | None
    """Of the positions that have no range of their own, that of the forward joint left out, and
    of all velocities, not clipped [SI]; None where these do not matter."""
    ends_episode: bool
    """Whether a robot that leaves them has fallen, which ends its episode."""


@dataclass(frozen=True)
class Reward:
    """What every control period is worth."""

    forward_velocity: float
    """Weight of the mean forward velocity [s/m]."""
    healthy: float
    """Added while the robot is healthy."""
    control_cost: float
    """Weight of the sum of the squared actions, in torque limits, which is taken away."""
    goal_distance: float = 0.0
    """Weight of the distance from the goal [1/m], which is taken away."""


@dataclass(frozen=True)
class ReferenceReturns:
    """Returns of which a score is made."""

    random: float
    """Score 0: of a random policy."""
    expert: float
    """Score 100."""
    note: str
    """Where they come from, and what a score must not be compared with."""


@dataclass(frozen=True)
class Task:
    """All about a simulated robot that its layout does not say."""

    file: Path
    """Where it was read from."""
    mjcf: str
    """MuJoCo's model: a path from the folder of ``file``, or a name in Gymnasium's assets."""
    frame_skip: int
    """Simulator steps in a control period."""
    forward_joint: str | None
    """Joint whose position is the way forward [m]; None for a robot that is sent to goals."""
    pushed_body: str
    """Body on which pushes act."""
    initial_noise: InitialNoise
    healthy: Health | None
    """None for a robot that is healthy in whatever state it is."""
    reward: Reward
    max_episode_steps: int
    """Time limit of an episode [control periods]."""
    reference_returns: ReferenceReturns | None
    gymnasium: str | None
    """The same robot in Gymnasium, which data sets name; None where there is none."""
    reaching: Reaching | None = None
    """About a robot that is sent to goals; None for one that moves forward."""

    @property
    def has_falls(self) -> bool:
        """Whether an episode can end in a fall."""
        return self.healthy is not None and self.healthy.ends_episode

    def normalized_score(self, episode_return: float) -> float | None:
        """
        Scale a return as D4RL does: 0 is a random policy, 100 its expert (Fu et al. 2020).

        https://arxiv.org/abs/2004.07219

        :return: None without returns to compare with.
        """
        if (known := self.reference_returns) is None:
            return None
        return 100.0 * (episode_return - known.random) / (known.expert - known.random)

    @classmethod
    def load(cls, robot: str) -> 'Task':
        """
        Load the task of a robot.

        :param robot: its name, or the path of its folder.
        :raises RobotError: if there is no such robot, or its task is missing or not usable.
        """
        folder = robot_folder(robot)
        file = folder / TASK_FILE
        if not file.is_file():
            raise RobotError(f'{folder}: no {TASK_FILE} in it, expected one: it says how the '
                             'robot is simulated, and what for')
        return cls.from_dict(read_yaml(file), file)

    @classmethod
    def from_dict(cls, facts: Mapping[str, Any], file: Path) -> 'Task':
        """
        Build a task from what a YAML file says.

        :param file: where it comes from.
        :raises RobotError: if a key is missing, unknown, or has a value that makes no sense.
        """
        whole = YamlSection(facts, str(file))
        mjcf, frame_skip = whole.text('mjcf'), whole.integer('frame_skip', low=1, high=MAX_STEPS)
        section = whole.optional_section('reaching')
        reaching = None if section is None else Reaching.read(section)
        task = cls(
            file=file, mjcf=mjcf, frame_skip=frame_skip,
            forward_joint=None if reaching else whole.text('forward_joint'),
            pushed_body=whole.text('pushed_body'),
            initial_noise=_initial_noise(whole.section('initial_noise')),
            healthy=_health(whole.optional_section('healthy')),
            reward=_reward(whole.section('reward'), reaches=reaching is not None),
            max_episode_steps=whole.integer('max_episode_steps', low=1, high=MAX_STEPS),
            reference_returns=_reference_returns(whole.optional_section('reference_returns')),
            gymnasium=whole.text('gymnasium', None), reaching=reaching)
        whole.end()
        return task


def _initial_noise(section: YamlSection) -> InitialNoise:
    noise = InitialNoise(*(section.number(name, default, low=0.0) for name, default in (
        ('position_bound', REQUIRED), ('velocity_bound', None), ('velocity_std', None))))
    if (noise.velocity_bound is None) == (noise.velocity_std is None):
        section.refuse('velocity_bound', noise.velocity_bound,
                       'a number either there, for uniform noise, or as velocity_std, for normal '
                       'noise')
    section.end()
    return noise


def _health(section: YamlSection | None) -> Health | None:
    if section is None:
        return None
    positions = section.optional_section('positions')
    ranges = {} if positions is None else {
        joint: positions.range(joint) for joint in positions.names()}
    health = Health(ranges, section.range('others', None), section.flag('ends_episode'))
    section.end()
    if not ranges and health.others is None:
        section.refuse('positions', ranges, 'the range of at least one joint; a robot that is '
                       'healthy in any state has no key healthy')
    return health


def _reward(section: YamlSection, *, reaches: bool) -> Reward:
    if reaches:
        reward = Reward(0.0, 0.0, section.number('control_cost'), section.number('goal_distance'))
    else:
        reward = Reward(section.number('forward_velocity'), section.number('healthy'),
                        section.number('control_cost'))
    section.end()
    return reward


def _reference_returns(section: YamlSection | None) -> ReferenceReturns | None:
    if section is None:
        return None
    found = ReferenceReturns(section.number('random'), section.number('expert'),
                             section.text('note'))
    section.end()
    if not found.expert > found.random:
        section.refuse('expert', found.expert, f'more than random, which is {found.random}')
    return found
