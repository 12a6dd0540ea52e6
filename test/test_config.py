"""The shipped parameter files name parameters that exist, with values that are allowed."""

from pathlib import Path

import pytest
import yaml

from diffusion_planner_ros.nodes.mujoco_bridge_node import BridgeConfig
from diffusion_planner_ros.nodes.planner_node import CONFIGS
from diffusion_planner_ros.nodes.recorder_node import RecorderConfig
from diffusion_planner_ros.planning.stop import StopConfig
from diffusion_planner_ros.settings import knobs_of

CONFIG = Path(__file__).parents[1] / 'config'
NODES = {'planner': CONFIGS, 'mujoco_bridge': (BridgeConfig, StopConfig),
         'recorder': (RecorderConfig,)}
FILES = {'planner': ['planner'], 'hardware': ['planner', 'recorder'],
         'mujoco_bridge': ['mujoco_bridge']}


def parameters_of(file, node):
    content = yaml.safe_load((CONFIG / f'{file}.yaml').read_text())
    assert content.keys() == {f'/**/{name}' for name in FILES[file]}
    return content[f'/**/{node}']['ros__parameters']


@pytest.mark.parametrize(('file', 'node'), [(f, n) for f, nodes in FILES.items() for n in nodes])
def test_parameter_file_matches_what_the_node_declares(file, node):
    configs, parameters = NODES[node], parameters_of(file, node)
    knobs = {knob.name: knob for config in configs for knob in knobs_of(config)}
    for name, value in parameters.items():
        assert name in knobs, f'{name} is no parameter of {node}'
        knobs[name].check(tuple(value) if isinstance(value, list) else value)
        # ROS refuses 1 for 1.0
        elements = value if knobs[name].is_list else [value]
        assert all(type(element) is knobs[name].type for element in elements)


def test_on_hardware_the_recorder_takes_the_base_from_where_the_planner_does():
    assert (parameters_of('hardware', 'recorder')['odometry_joints']
            == parameters_of('hardware', 'planner')['odometry_joints'])
