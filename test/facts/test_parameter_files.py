# Copyright 2026 diffusion_planner_ros developers
# SPDX-License-Identifier: Apache-2.0
"""The shipped parameter files name parameters that exist, with values that are allowed."""

from paths import SOURCE
import pytest
import yaml

from diffusion_planner_ros.nodes.planner_node import CONFIGS
from diffusion_planner_ros.nodes.recorder_node import RecorderConfig
from diffusion_planner_ros.planning.stop import StopConfig
from diffusion_planner_ros.settings import settings_of
from diffusion_planner_ros.sim.bridge_episode import BridgeConfig

CONFIG = SOURCE / 'config'
NODES = {'planner': CONFIGS, 'mujoco_bridge': (BridgeConfig, StopConfig),
         'recorder': (RecorderConfig,)}
FILES = {'planner': ['planner'], 'speeds': ['planner'], 'hardware': ['planner', 'recorder'],
         'mujoco_bridge': ['mujoco_bridge']}


def parameters_of(file, node):
    content = yaml.safe_load((CONFIG / f'{file}.yaml').read_text())
    assert content.keys() == {f'/**/{name}' for name in FILES[file]}
    return content[f'/**/{node}']['ros__parameters']


@pytest.mark.parametrize(('file', 'node'), [(f, n) for f, nodes in FILES.items() for n in nodes])
def test_parameter_file_matches_what_the_node_declares(file, node):
    configs, parameters = NODES[node], parameters_of(file, node)
    settings = {setting.name: setting for config in configs for setting in settings_of(config)}
    for name, value in parameters.items():
        assert name in settings, f'{name} is no parameter of {node}'
        settings[name].check(tuple(value) if isinstance(value, list) else value)
        # ROS refuses 1 for 1.0
        elements = value if settings[name].is_list else [value]
        assert all(type(element) is settings[name].type for element in elements)


def test_on_hardware_the_recorder_takes_the_base_from_where_the_planner_does():
    assert (parameters_of('hardware', 'recorder')['odometry_joints']
            == parameters_of('hardware', 'planner')['odometry_joints'])
