"""The shipped parameter files name parameters that exist, with values that are allowed."""

from pathlib import Path

import pytest
import yaml

from diffusion_planner_ros.knobs import knobs_of
from diffusion_planner_ros.nodes.mujoco_bridge import BridgeConfig
from diffusion_planner_ros.nodes.planner import CONFIGS
from diffusion_planner_ros.planning.stop import StopConfig

CONFIG = Path(__file__).parents[1] / 'config'
FILES = {'planner': ('planner', CONFIGS), 'hardware': ('planner', CONFIGS),
         'mujoco_bridge': ('mujoco_bridge', (BridgeConfig, StopConfig))}


@pytest.mark.parametrize('file', FILES)
def test_parameter_file_matches_what_the_node_declares(file):
    node, configs = FILES[file]
    content = yaml.safe_load((CONFIG / f'{file}.yaml').read_text())
    parameters = content[f'/**/{node}']['ros__parameters']
    knobs = {knob.name: knob for config in configs for knob in knobs_of(config)}
    for name, value in parameters.items():
        assert name in knobs, f'{name} is no parameter of {node}'
        knobs[name].check(tuple(value) if isinstance(value, list) else value)
        # ROS refuses 1 for 1.0
        elements = value if knobs[name].is_list else [value]
        assert all(type(element) is knobs[name].type for element in elements)
