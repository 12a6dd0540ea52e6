"""What a simulated robot must be able to do, and which robots there are."""

from typing import Protocol

from numpy.typing import NDArray

from ..errors import RobotError
from .perturbation import Perturbation, UNPERTURBED
from .walker2d import Walker2D


class Environment(Protocol):
    """A simulated robot: torques in; states, rewards and falls out."""

    joint_names: list[str]
    """All joints, in the order of ``qpos`` and ``qvel``."""
    actuated_joints: list[str]
    """Joints with a motor, in the order of a torque."""
    control_period: float
    """Time that a torque is held [s]."""
    torque_limit: NDArray
    """Largest torque of every motor [N m], shape (A,); an action of 1 is this torque."""
    max_episode_steps: int
    """Time limit of an episode [control periods]."""

    @property
    def state(self) -> NDArray:
        """Measured state, in the order and units of the robot's YAML file, shape (S,)."""

    @property
    def qpos(self) -> NDArray:
        """Copy of the position of every joint [m, rad], shape (number of joints,)."""

    @property
    def qvel(self) -> NDArray:
        """Copy of the velocity of every joint [m/s, rad/s], not clipped."""

    @property
    def position(self) -> float:
        """Forward position of the robot [m]."""

    def reset(self, seed: int) -> NDArray:
        """Start an episode and return its first state, shape (S,); the seed decides it all."""

    def step(self, torque: NDArray) -> tuple[NDArray, float, bool]:
        """
        Hold a torque for one control period.

        :param torque: [N m], shape (A,), in the order of ``actuated_joints``.
        :return: the state afterwards, shape (S,), the reward, and whether the robot fell.
        """

    def push(self, impulse: NDArray) -> None:
        """Push the robot during the next control period; impulse [N s], world frame, (3,)."""

    def snapshot(self) -> NDArray:
        """Return all that decides how the simulation goes on, disturbances to come excluded."""

    def restore(self, snapshot: NDArray) -> None:
        """Go back to a snapshot of this environment or of another one of the same robot."""

    def place(self, state: NDArray) -> None:
        """Put the robot, at rest from all pushes, where a recorded state (S,) says."""

    @staticmethod
    def normalized_score(episode_return: float) -> float | None:
        """Return 0 for a random policy's return, 100 for an expert's; None without such."""


ENVIRONMENTS: dict[str, type[Environment]] = {
    'walker2d': Walker2D,
}
"""Simulated robots, by the ``name`` in their YAML file. One line makes another one known."""


def environment_class(robot: str) -> type[Environment]:
    """
    Return the class of a robot's simulation.

    :param robot: its ``name`` in the YAML file.
    :raises RobotError: if nothing simulates it.
    """
    if robot not in ENVIRONMENTS:
        raise RobotError(f"no environment simulates robot '{robot}', expected one of "
                         f'{", ".join(ENVIRONMENTS)}; add it to ENVIRONMENTS in '
                         'sim/environment.py')
    return ENVIRONMENTS[robot]


def make_environment(robot: str, perturbation: Perturbation = UNPERTURBED) -> Environment:
    """
    Build the simulation of a robot.

    :param robot: its ``name`` in the YAML file.
    :param perturbation: what is different about it.
    :raises RobotError: if nothing simulates it.
    """
    return environment_class(robot)(perturbation)
