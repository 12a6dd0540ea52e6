# Copyright 2026 diffusion_planner_ros developers
# SPDX-License-Identifier: Apache-2.0
"""Who walks in a table of robustness: planners, and the teacher whose data they learned from."""

from dataclasses import dataclass
import hashlib
from pathlib import Path
from typing import Any, Protocol

from ...errors import ConfigError, ModelError, PlannerError, RobotError
from ...planning.bundle import Bundle
from ...planning.planner_config import PlannerConfig
from ...robots.robot_folder import DEFAULT_ROBOT
from ...share import share_file, shipped_bundle
from ...sim.behaviour.gaussian_policy import GaussianPolicy
from ...sim.environment import make_environment
from ...sim.perturbation_ranges import Robots
from ..closed_loop import check_robot, episode_planner, EpisodeResult, run_episode, walk
from ..execution import Execution
from .episode_monitor import Alarm, EpisodeMonitor
from .policy_controller import PolicyController

SHIPPED_TEACHER = 'models/{}-teacher.npz'  # of a robot, by its name
NO_TEACHER = 'none'


class Column(Protocol):
    """Controls a robot in episodes; it can be sent to a worker process."""

    @property
    def path(self) -> Path:
        """File or folder of what controls."""

    @property
    def robot(self) -> str:
        """Name of the robot that it controls."""

    def check(self, execution: Execution) -> None:
        """Refuse before anything runs what cannot be executed so."""

    def walk(self, seed: int, robots: Robots, execution: Execution
             ) -> tuple[EpisodeResult, Alarm | None]:
        """Run an episode; return what it came to, and the monitor's alarm where there is one."""

    def facts(self) -> dict[str, Any]:
        """Return what identifies it, for a report."""


@dataclass(frozen=True)
class PlannerColumn:
    """A planner with a bundle."""

    path: Path
    config: PlannerConfig
    digest: str
    robot: str
    horizon: int

    @classmethod
    def load(cls, path: Path, config: PlannerConfig) -> 'PlannerColumn':
        """
        Check the bundle.

        :raises ModelError: if it cannot be loaded.
        :raises RobotError: if it is of another robot than the simulated one.
        """
        bundle = Bundle.load(path, provider=config.provider, n_threads=config.n_threads)
        check_robot(bundle)
        return cls(path, config, bundle.hash, bundle.robot.name, bundle.horizon)

    def check(self, execution: Execution) -> None:
        """
        Refuse what plans do not outlast.

        :raises ConfigError: naming what is possible.
        """
        execution.check_horizon(self.horizon)

    def walk(self, seed: int, robots: Robots, execution: Execution
             ) -> tuple[EpisodeResult, Alarm | None]:
        """Run an episode and watch it with the monitor."""
        planner = episode_planner(self.path, self.config, seed)
        monitor = EpisodeMonitor(planner.bundle, execution=execution)
        result, _ = run_episode(seed, planner=planner, execution=execution, perturbation=robots,
                                on_plan=monitor.watch)
        return result, monitor.alarm

    def facts(self) -> dict[str, Any]:
        """Return folder and hash."""
        return {'path': str(self.path), 'hash': self.digest}


@dataclass(frozen=True)
class TeacherColumn:
    """The policy of which robust data were recorded; it cannot compensate a delay."""

    path: Path
    policy: GaussianPolicy
    robot: str

    @classmethod
    def load(cls, path: Path, robot: str) -> 'TeacherColumn':
        """
        Check the file, which ``collect`` wrote.

        :param robot: name of the robot that is to walk.
        :raises ModelError: if it is missing, damaged or for another robot.
        """
        column = cls(path, GaussianPolicy.load(path), robot)
        environment = make_environment(column.robot)
        expected = len(environment.state), len(environment.torque_limit)
        found = len(column.policy.mean), len(column.policy.action_std)
        if found != expected:
            raise ModelError(f'{path}: from {found[0]} states to {found[1]} torques, expected '
                             f'{expected[0]} and {expected[1]} for {column.robot}')
        return column

    def check(self, execution: Execution) -> None:
        """Accept any execution: a policy has no horizon."""

    def walk(self, seed: int, robots: Robots, execution: Execution
             ) -> tuple[EpisodeResult, Alarm | None]:
        """Run an episode; nothing predicts, so nothing can raise an alarm."""
        environment = make_environment(self.robot, robots.draw(seed))
        controller = PolicyController(self.policy, environment.torque_limit,
                                      delay=execution.delay)
        return walk(seed, environment, controller)[0], None

    def facts(self) -> dict[str, Any]:
        """Return file and hash."""
        return {'path': str(self.path), 'hash': hashlib.sha256(self.path.read_bytes()).hexdigest()}


def columns_of(robot: str | None, bundles: tuple[str, ...] | None, teacher: str | None,
               config: PlannerConfig) -> dict[str, Column]:
    """
    Load everybody who is asked for, by the label in the table.

    :param robot: name of the robot that all are to be of; by default the one that the first bundle
        names, without any walker2d.
    :param bundles: PATH or LABEL=PATH each; without any, the bundle that ships for the robot.
    :param teacher: file of a policy, or ``none``; the shipped one, if there is one, by default.
    :param config: how to plan.
    :raises ConfigError: for a label or a path that is missing, or a label that comes twice.
    :raises ModelError: for what cannot be loaded.
    :raises RobotError: for a bundle that is not of the robot or does not fit its simulation.
    """
    columns: dict[str, Column] = {
        label: PlannerColumn.load(path, config)
        for label, path in labelled(bundles, robot or DEFAULT_ROBOT).items()}
    robot = robot or next(iter(columns.values())).robot
    for column in columns.values():
        if column.robot != robot:
            raise RobotError(f"{column.path}: is of robot '{column.robot}', expected '{robot}' "
                             'as --robot says, or the first bundle')
    file = _teacher_file(teacher, robot)
    if file is not None:
        if 'teacher' in columns:
            raise ConfigError("bundles has 'teacher', which is the policy's label; name the "
                              f'bundle otherwise, or give --teacher {NO_TEACHER}')
        columns['teacher'] = TeacherColumn.load(file, robot)
    return columns


def _teacher_file(teacher: str | None, robot: str) -> Path | None:
    if teacher == NO_TEACHER:
        return None
    if teacher is not None:
        return Path(teacher)
    try:
        return share_file(SHIPPED_TEACHER.format(robot))
    except PlannerError:
        return None


def labelled(words: tuple[str, ...] | None, robot: str) -> dict[str, Path]:
    """
    Return the folders of bundles by their labels.

    :param words: PATH or LABEL=PATH each; without any, the bundle that ships for the robot.
    :param robot: its name.
    :raises ConfigError: for a label or a path that is missing, or a label that comes twice.
    :raises RobotError: if no bundle ships for the robot.
    """
    if not words:
        return {'shipped': shipped_bundle(robot)}
    paths: dict[str, Path] = {}
    for word in words:
        label, separator, path = word.partition('=')
        if not label or (separator and not path):
            raise ConfigError(f"bundles has '{word}', expected PATH or LABEL=PATH")
        if label in paths:
            raise ConfigError(f"bundles has '{label}' twice, expected labels that differ, as "
                              'LABEL=PATH')
        paths[label] = Path(path or label)
    return paths
