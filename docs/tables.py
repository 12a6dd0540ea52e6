# Copyright 2026 diffusion_planner_ros developers
# SPDX-License-Identifier: Apache-2.0
"""
Write the tables of the documentation from the code: ``python docs/tables.py``.

A table stands between ``<!-- table: NAME -->`` and ``<!-- table end -->``. To add one, write these
two lines into a page and add a function to ``TABLES``. A test compares every table with the code.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
import inspect
from pathlib import Path
import re
import runpy
import sys
from typing import Any
from unittest.mock import MagicMock, patch

from rclpy.qos import DurabilityPolicy, QoSProfile

from diffusion_planner_ros.commands.__main__ import verbs
from diffusion_planner_ros.data.bags.bag_config import BagConfig
from diffusion_planner_ros.experiments.execution import Execution
from diffusion_planner_ros.experiments.markdown import table
from diffusion_planner_ros.learning.align_config import AlignConfig
from diffusion_planner_ros.learning.train_config import TrainConfig
from diffusion_planner_ros.nodes.common.diagnostics import VALUES
from diffusion_planner_ros.nodes.common.topics import NODES, reliability_of, VIEWER
from diffusion_planner_ros.nodes.mcap_recorder_node import McapRecorderConfig
from diffusion_planner_ros.nodes.planner_node import CONFIGS
from diffusion_planner_ros.nodes.recorder_node import RecorderConfig
from diffusion_planner_ros.nodes.threads.scheduling import SchedulingConfig
from diffusion_planner_ros.nodes.view.viewer_config import ViewerConfig
from diffusion_planner_ros.planning.monitor import MonitorConfig
from diffusion_planner_ros.planning.planner_config import PlannerConfig
from diffusion_planner_ros.planning.stop import StopConfig
from diffusion_planner_ros.presets.preset import Preset, preset_names
from diffusion_planner_ros.settings import Setting, settings_of
from diffusion_planner_ros.sim.bridge_episode import BridgeConfig
from diffusion_planner_ros.sim.perturbation import Perturbation
from diffusion_planner_ros.sim.perturbation_ranges import PerturbationRanges

PAGES = Path(__file__).parent
LAUNCH_MODULES = (
    'launch', 'launch.actions', 'launch.events', 'launch.events.process', 'launch.substitutions',
    'launch_ros', 'launch_ros.actions', 'launch_ros.parameter_descriptions')
TABLE = re.compile(r'^(<!-- table: (\S+) -->\n).*?^(<!-- table end -->)$',
                   re.DOTALL | re.MULTILINE)


def _default(setting: Setting) -> str:
    value = list(setting.default) if setting.is_list else setting.default
    return f'`{value!r}`'


def settings_table(owner: type) -> str:
    """Return the settings of a settings dataclass."""
    return table(
        ('name', 'default', 'unit', 'range', 'meaning'),
        [(f'`{s.name}`', _default(s), s.unit, s.allowed, s.description)
         for s in settings_of(owner)])


def parameter_table(owners: Sequence[type]) -> str:
    """Return the parameters that a node declares: the settings of several settings dataclasses."""
    return table(
        ('name', 'default', 'unit', 'range', 'while running', 'meaning'),
        [(f'`{s.name}`', _default(s), s.unit, s.allowed, 'no' if s.read_only else 'yes',
          s.description) for owner in owners for s in settings_of(owner)])


def verb_table() -> str:
    """Return the verbs of the command line with the first sentence of their help."""
    return table(('verb', 'what it does'), [
        (f'`{name}`', ' '.join((inspect.getdoc(verb) or '').split('\n\n')[0].split()))
        for name, verb in verbs().items()])


@dataclass(frozen=True)
class _Argument:
    """Stands in for ``launch.actions.DeclareLaunchArgument``."""

    name: str
    default_value: str | None = None
    description: str = ''
    choices: Sequence[str] | None = None


def launch_table(file: str) -> str:
    """
    Return the arguments of a launch file.

    ROS's ``launch`` is not in every Python environment. What a launch file declares does not need
    it, so stand-ins take its place.
    """
    stand_ins = {name: MagicMock() for name in LAUNCH_MODULES}
    stand_ins['launch'].LaunchDescription = list
    stand_ins['launch.actions'].DeclareLaunchArgument = _Argument
    with patch.dict(sys.modules, stand_ins):
        described = runpy.run_path(str(PAGES.parent / 'launch' / file))
        arguments = described['generate_launch_description']()
    return table(('argument', 'default', 'choices', 'meaning'), [
        (f'`{a.name}`', 'required' if a.default_value is None else
         f'`{a.default_value}`' if a.default_value else '',
         ', '.join(filter(None, a.choices or ())), a.description)
        for a in arguments if isinstance(a, _Argument)])


def topic_table() -> str:
    """Return the topics and services of the nodes."""
    rows = []
    for node in (*NODES, VIEWER):
        ends = [*(('in', e) for e in node.subscribed), *(('out', e) for e in node.published)]
        rows += [(node, direction, end.topic,
                  f'{reliability_of(end.qos)}{_durability(end.qos)}, depth {end.qos.depth}',
                  end.description)
                 for direction, end in ends]
        rows += [(node, 'service', s, '', s.description) for s in node.services]
    return table(('node', 'direction', 'name', 'type', 'QoS', 'what'), [
        (f'`{node.node_name}`', direction, f'`{node.name_of(topic)}`', f'`{topic.ros_type}`', qos,
         what) for node, direction, topic, qos, what in rows])


def _durability(qos: QoSProfile) -> str:
    return ', transient local' if qos.durability == DurabilityPolicy.TRANSIENT_LOCAL else ''


def diagnostics_table(node: str) -> str:
    """Return what a node reports, its parameters left out."""
    return table(('key', 'what'), [(', '.join(f'`{key}`' for key in keys), what)
                                   for keys, what in VALUES[node].items()])


def preset_table() -> str:
    """Return the presets: what they are, and the settings that differ from the defaults."""
    def changes(settings: Mapping[str, Any]) -> str:
        return ', '.join(f'`{name}={"+".join(map(str, value)) if type(value) is tuple else value}`'
                         for name, value in settings.items())
    presets = [Preset.load(name) for name in preset_names()]
    return table(('preset', 'what', 'source', 'training', 'planning'), [
        (f'`{p.name}`', ' '.join(p.about.split())
         + (f' Distilled from `{p.distilled_from}`.' if p.distilled_from else ''),
         p.source, changes(p.train), changes(p.planner)) for p in presets])


TABLES: dict[str, Callable[[], str]] = {
    'verbs': verb_table,
    'import': lambda: settings_table(BagConfig),
    'train': lambda: settings_table(TrainConfig),
    'align': lambda: settings_table(AlignConfig),
    'planner': lambda: settings_table(PlannerConfig),
    'monitor': lambda: settings_table(MonitorConfig),
    'presets': preset_table,
    'execution': lambda: settings_table(Execution),
    'perturbation': lambda: settings_table(Perturbation),
    'drawn': lambda: settings_table(PerturbationRanges),
    'parameters-planner': lambda: parameter_table(CONFIGS),
    'parameters-mujoco-bridge': lambda: parameter_table(
        (BridgeConfig, StopConfig, SchedulingConfig)),
    'parameters-recorder': lambda: parameter_table((RecorderConfig,)),
    'parameters-mcap-recorder': lambda: parameter_table((McapRecorderConfig,)),
    'parameters-viewer': lambda: parameter_table((ViewerConfig,)),
    'topics': topic_table,
    **{f'diagnostics-{node}': partial(diagnostics_table, node) for node in VALUES},
    'launch-simulation': lambda: launch_table('simulation.launch.py'),
    'launch-hardware': lambda: launch_table('hardware.launch.py'),
}
"""Every table by its name."""


def with_tables(page: str) -> str:
    """
    Return the text of a page with its tables as the code has them.

    :raises KeyError: for a table that is not in ``TABLES``.
    """
    return TABLE.sub(lambda m: f'{m.group(1)}{TABLES[m.group(2)]()}\n{m.group(3)}', page)


def main() -> None:
    """Rewrite every page whose tables are not those of the code."""
    for page in sorted(PAGES.rglob('*.md')):
        text = page.read_text(encoding='utf-8')
        if (written := with_tables(text)) != text:
            page.write_text(written, encoding='utf-8')
            print(f'{page.relative_to(PAGES)}: tables written')


if __name__ == '__main__':
    main()
