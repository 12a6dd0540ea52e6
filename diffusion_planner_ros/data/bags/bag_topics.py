# Copyright 2026 diffusion_planner_ros developers
# SPDX-License-Identifier: Apache-2.0
"""Find the topics of a robot in a recording, and check their types."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from ...errors import DatasetError
from ...messages.names import shortened
from .bag_config import BagConfig
from .bag_files import BagTopic

JOINT_STATE = 'sensor_msgs/msg/JointState'
COMMAND = 'std_msgs/msg/Float64MultiArray'
ODOMETRY = 'nav_msgs/msg/Odometry'
CLOCK = 'rosgraph_msgs/msg/Clock'
OPTIONS = ('joint_states', 'commands', 'odometry', 'reward', 'clock')


@dataclass(frozen=True)
class BagTopics:
    """Full names of the topics to read; '' for those that are not there and need not be."""

    joint_states: str
    commands: str
    odometry: str
    reward: str
    episodes: str
    clock: str

    @classmethod
    def find(cls, path: Path, topics: Mapping[str, BagTopic], config: BagConfig) -> 'BagTopics':
        """
        Find what a configuration asks for.

        The topic of the rewards may be missing, unless it has another name than by default.

        :param path: of the recording, for errors.
        :raises DatasetError: naming what is missing or of another type, and what is there.
        """
        def advice(option: str, expected: str) -> str:
            others = [config.topic(getattr(config, o)) for o in OPTIONS if o != option]
            return _advice(option, [name for name, topic in sorted(topics.items())
                                    if topic.type == expected and name not in others])

        def find(option: str, expected: str = '', *, is_needed: bool = True) -> str:
            setting = getattr(config, option)
            name = config.topic(setting)
            if setting and name in topics:
                if expected and topics[name].type != expected:
                    raise DatasetError(f"{path}: topic '{name}' is of type {topics[name].type}, "
                                       f'expected {expected}; {advice(option, expected)}')
                return name
            if is_needed:
                found = shortened([f'{n} ({t.type})' for n, t in sorted(topics.items())], 200)
                raise DatasetError(f"{path}: no topic '{name}', found {found or 'none'}; expected "
                                   f'one of type {expected or "any"}; '
                                   f'{advice(option, expected)}')
            return ''

        default = BagConfig()
        return cls(
            joint_states=find('joint_states', JOINT_STATE),
            commands=find('commands', COMMAND) if config.torque_source == 'commands' else '',
            odometry=find('odometry', ODOMETRY) if config.base_joints else '',
            reward=find('reward', JOINT_STATE, is_needed=config.reward not in (
                '', default.reward)),
            episodes=find('episode_topic', is_needed=bool(config.episode_topic)),
            clock=find('clock', CLOCK) if config.time == 'clock' else '')


def _advice(option: str, fitting: list[str]) -> str:
    """Return how to name another topic, one of those of its type if there is one."""
    advice = f'name it with --{option.replace("_", "-")} {fitting[0] if fitting else "TOPIC"}'
    if option == 'commands':
        advice += ', or take --torque-source effort'
    elif option == 'odometry':
        advice += ', or leave out --odometry-joints'
    elif option == 'reward':
        advice += ', or leave rewards out with --reward ""'
    return advice
