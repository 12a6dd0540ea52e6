"""The shipped parameter files name parameters that exist, with values that are allowed."""

from pathlib import Path

import pytest
import yaml

from diffusion_planner_ros.knobs import knobs_of
from diffusion_planner_ros.nodes.mujoco_bridge import BridgeConfig
from diffusion_planner_ros.nodes.planner import PlannerNodeConfig
from diffusion_planner_ros.planning.config import PlannerConfig

CONFIG = Path(__file__).parents[1] / 'config'
NODES = {'planner': (PlannerNodeConfig, PlannerConfig), 'mujoco_bridge': (BridgeConfig,)}


@pytest.mark.parametrize('node', NODES)
def test_parameter_file_matches_what_the_node_declares(node):
    content = yaml.safe_load((CONFIG / f'{node}.yaml').read_text())
    parameters = content[f'/**/{node}']['ros__parameters']
    knobs = {knob.name: knob for config in NODES[node] for knob in knobs_of(config)}
    for name, value in parameters.items():
        assert name in knobs, f'{name} is no parameter of {node}'
        knobs[name].check(value)
        assert type(value) is knobs[name].type  # ROS refuses 1 for 1.0
