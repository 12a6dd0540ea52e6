"""Settings of the simulated robot."""

from dataclasses import dataclass

from ..settings import check_settings, document_settings, setting
from .walker2d import MAX_EPISODE_STEPS


@document_settings
@dataclass(frozen=True)
class BridgeConfig:
    """Parameters of the simulated robot, besides those of ``StopConfig``."""

    lockstep: bool = setting(
        False, 'Wait for the command of every state before the next step; '
        'otherwise step on the wall clock.', read_only=True)
    real_time_factor: float = setting(
        1.0, 'Simulated over wall time, without lockstep.',
        low=0.01, high=10.0, read_only=True)
    seed: int = setting(0, 'Seed of the initial state of the next reset.', low=0, high=2**31 - 1)
    auto_reset: bool = setting(
        True, 'After the end of an episode, start the next one with the '
        'following seed.', read_only=True)
    max_episode_steps: int = setting(
        MAX_EPISODE_STEPS, 'Length of an episode.',
        unit='control periods', low=1, high=1_000_000, read_only=True)
    # Four control periods. A step that begins just before the end of this time lasts one period
    # more, so that the torque of a dead planner is gone 40 ms after its last command, and within
    # 50 ms if a step comes late. A living planner repeats its command at least every 20 ms.
    command_timeout: float = setting(
        0.032, 'Age of the last command, on the wall clock, above which '
        'the stop behaviour takes over, without lockstep.', unit='s',
        low=0.001, high=10.0, read_only=True)

    def __post_init__(self) -> None:
        check_settings(self)
