# Copyright 2026 diffusion_planner_ros developers
# SPDX-License-Identifier: Apache-2.0
"""Option ``--robot`` of the verbs that simulate: which robot, and with which bundle."""

from pathlib import Path
from typing import TYPE_CHECKING

from ..errors import RobotError
from ..planning.planner_config import PlannerConfig
from ..robots.robot_folder import DEFAULT_ROBOT, make_known
from ..share import shipped_bundle

if TYPE_CHECKING:
    from ..planning.bundle import Bundle


def simulated_bundle(bundle: Path | None, planner: PlannerConfig, robot: str | None = None
                     ) -> 'Bundle':
    """
    Load the bundle that a verb simulates with.

    :param bundle: its folder; by default that of the bundle that ships for the robot.
    :param planner: says where and with how many threads it runs.
    :param robot: name of a robot, or path of its folder; by default the one that the bundle names.
    :raises RobotError: if it is of another robot, or does not fit the simulation of its robot.
    """
    from ..experiments.closed_loop import check_robot
    from ..planning.bundle import Bundle

    name = None if robot is None else make_known(robot)
    loaded = Bundle.load(bundle or shipped_bundle(name or DEFAULT_ROBOT),
                         provider=planner.provider, n_threads=planner.n_threads)
    check_name(name, loaded.robot.name, str(loaded.path))
    check_robot(loaded)
    return loaded


def check_name(asked: str | None, found: str, source: str) -> None:
    """
    Refuse a model of another robot than ``--robot`` asks for.

    :param asked: its name; None where the option is not given.
    :param found: name of the robot that the model is of.
    :param source: of the model, for the error.
    :raises RobotError: naming both.
    """
    if asked not in (None, found):
        raise RobotError(f"{source}: is of robot '{found}', expected '{asked}', as --robot says")
