# Copyright 2026 diffusion_planner_ros developers
# SPDX-License-Identifier: Apache-2.0
"""One episode as a report plays it back: the robot's shape, states, torques and plans."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ...errors import DatasetError, RobotError
from ...files import written
from ...robot import Robot
from ...robots.robot_folder import urdf_file
from ...urdf_tree import transformed, Urdf

EPISODE_FILE = 'episode.npz'
MAX_PLANS = 160  # kept of an episode
MAX_CANDIDATES = 6  # of a plan, the chosen one first
MAX_ROWS = 16  # of a plan


@dataclass(frozen=True)
class KnownPlan:
    """A plan as joint positions."""

    row: int
    """Of the state that it starts from."""
    positions: Mapping[str, NDArray]
    """By joint [m, rad], of N candidates, the chosen one first, each of shape (N, H)."""


@dataclass(frozen=True)
class RecordedEpisode:
    """What happened in one episode; all points are in the frame of the URDF's root link."""

    seed: NDArray
    times: NDArray
    """Since its beginning [s], shape (n,)."""
    state_names: NDArray
    """As ``rootz position [m]``, shape (S,)."""
    states: NDArray
    """[SI], shape (n, S)."""
    motors: NDArray
    """Names of their joints, shape (A,)."""
    torques: NDArray
    """Those that led to the state of a row [N m], NaN in the first one, shape (n, A)."""
    shapes: NDArray
    """Cylinders and spheres of the robot: both ends of an axis [m], shape (n, K, 2, 3); none for a
    robot without URDF."""
    radii: NDArray
    """Theirs [m], shape (K,)."""
    links: NDArray
    """Names of the links that they belong to, shape (K,)."""
    paths: NDArray
    """Torso, and feet or hands [m], shape (n, P, 3)."""
    plan_rows: NDArray
    """Row of the state that a plan starts from, shape (p,)."""
    plans: NDArray
    """Where the candidates lead ``paths``, the chosen one first [m], shape (p, N, P, H, 3)."""
    goal: NDArray
    """[m], shape (2,), or (0,) of a robot that is sent to none."""
    walls: NDArray
    """Lower and upper corners on the floor [m], shape (w, 2, 2)."""

    def save(self, folder: Path) -> None:
        """
        Write it to the folder of a report.

        :raises OutputError: if it cannot be written.
        """
        with written(folder / EPISODE_FILE) as scratch, scratch.open('wb') as file:
            np.savez_compressed(file, **{name: (array.astype(np.float32)
                                                if array.dtype == np.float64 else array)
                                         for name, array in asdict(self).items()})

    @classmethod
    def load(cls, folder: Path) -> 'RecordedEpisode | None':
        """
        Read that of a report; None if it has none.

        :raises DatasetError: if the file is damaged.
        """
        file = folder / EPISODE_FILE
        if not file.is_file():
            return None
        try:
            with np.load(file) as arrays:
                return cls(**arrays)
        except (OSError, ValueError, TypeError, EOFError) as error:
            raise DatasetError(f'{file}: not a recorded episode ({error}), expected the file that '
                               'was written with the report; delete it to do without playback'
                               ) from error


def recorded_episode(robot: Robot, *, seed: int, times: NDArray, states: NDArray,
                     torques: NDArray, positions: Mapping[str, NDArray],
                     plans: Sequence[KnownPlan], goal: NDArray | None) -> RecordedEpisode:
    """
    Bring an episode into the form of a report.

    :param times: [s], shape (n,).
    :param states: [SI], in the order of ``robot.state``, shape (n, S).
    :param torques: that led to each state [N m], shape (n, A).
    :param positions: of all joints by name [m, rad], each of shape (n,).
    :param plans: all of them, or some.
    :param goal: [m], shape (2,), where there is one.
    """
    file = urdf_file(robot.name)
    chosen = [plans[k] for k in _thinned(len(plans), MAX_PLANS)]
    shown = _Shown.of(Urdf.load(file) if file is not None else None, positions, chosen)
    grid = None if robot.goal is None else robot.goal.grid
    walls: list[tuple[NDArray, NDArray]] = []
    if grid is not None:
        corners = [grid.centre(*cell) - grid.cell / 2 for cell in np.argwhere(grid.is_wall)]
        walls = [(corner, corner + grid.cell) for corner in corners]
    return RecordedEpisode(
        seed=np.array(seed), times=times - times[0],
        state_names=np.array([f'{e.joint} {e.quantity} [{e.unit}]' for e in robot.state]),
        states=states, motors=np.array([e.joint for e in robot.action]), torques=torques,
        shapes=shown.shapes, radii=shown.radii, links=shown.links, paths=shown.paths,
        plan_rows=np.array([plan.row for plan in chosen], dtype=int), plans=shown.plans,
        goal=np.zeros(0) if goal is None else np.asarray(goal),
        walls=np.array(walls).reshape(-1, 2, 2))


@dataclass(frozen=True)
class _Shown:
    """What of a recorded episode needs the robot's URDF."""

    shapes: NDArray
    radii: NDArray
    links: NDArray
    paths: NDArray
    plans: NDArray

    @classmethod
    def of(cls, urdf: Urdf | None, positions: Mapping[str, NDArray], plans: Sequence[KnownPlan]
           ) -> '_Shown':
        """Place the links; without a URDF, or where it has joints nobody measured, none."""
        n = len(next(iter(positions.values())))
        try:
            if urdf is None:
                raise RobotError('no URDF')
            poses = urdf.link_poses(positions)
            planned = [_traced(urdf, _thinned_rows(plan.positions)) for plan in plans]
        except RobotError:
            return cls(np.zeros((n, 0, 2, 3)), np.zeros(0), np.zeros(0, dtype=str),
                       np.zeros((n, 0, 3)), np.zeros((len(plans), 0, 0, 0, 3)))
        ends = [np.broadcast_to(transformed(poses[link], shape[:, :6].reshape(-1, 2, 3)),
                                (n, len(shape), 2, 3)) for link, shape in urdf.shapes.items()]
        names = [link for link, shape in urdf.shapes.items() for _ in shape]
        return cls(np.concatenate(ends, axis=1),
                   np.concatenate([shape[:, 6] for shape in urdf.shapes.values()]),
                   np.array(names), np.moveaxis(_traced(urdf, positions), 0, 1),
                   np.stack([np.moveaxis(p, 0, 1) for p in planned]) if planned
                   else np.zeros((0, 0, 0, 0, 3)))


def _traced(urdf: Urdf, positions: Mapping[str, NDArray]) -> NDArray:
    """Return where torso, feet or hands are [m] at positions (...), shape (P, ..., 3)."""
    poses = urdf.link_poses(positions)
    return np.stack([transformed(poses[link], point) for link, point in urdf.traced.items()])


def _thinned(n: int, most: int) -> list[int]:
    return np.unique(np.linspace(0, n - 1, min(n, most)).round().astype(int)).tolist()


def _thinned_rows(positions: Mapping[str, NDArray]) -> dict[str, NDArray]:
    return {joint: values[:MAX_CANDIDATES, _thinned(values.shape[1], MAX_ROWS)]
            for joint, values in positions.items()}
