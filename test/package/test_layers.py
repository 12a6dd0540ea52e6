# Copyright 2026 diffusion_planner_ros developers
# SPDX-License-Identifier: Apache-2.0
"""Imports point one way: each layer is imported in a fresh process, to see what comes along."""

import ast
from collections import Counter
import subprocess
import sys

from paths import SOURCE
import pytest

PACKAGE = 'diffusion_planner_ros'
PROBE = """
import importlib, pkgutil, sys
names = list(sys.argv[1:])
for name in names:
    module = importlib.import_module(name)
    names += [m.name for m in pkgutil.iter_modules(getattr(module, '__path__', []), name + '.')]
print(*sys.modules)
"""
FACTS = ('episode', 'errors', 'files', 'goals', 'messages', 'normalizer', 'presets', 'robot',
         'robots', 'schedule', 'settings', 'share', 'state_error', 'urdf_tree')
OWN_LAYERS = ('data', 'learning', 'planning', 'sim', 'nodes', 'experiments', 'commands')
MAY_IMPORT = {
    'data': (), 'learning': ('data',), 'planning': (), 'sim': ('planning', 'data'),
    'nodes': ('planning', 'sim', 'data'),
    'experiments': ('data', 'learning', 'planning', 'sim', 'nodes'), 'commands': OWN_LAYERS,
    'launching': ()}
MAX_FILES = 12
# what is imported, all modules below it included: what must not come along
LAYERS = {
    FACTS: ('torch', 'onnxruntime', 'mujoco', 'rclpy', 'sensor_msgs', 'nav_msgs', *OWN_LAYERS),
    ('learning',): ('onnxruntime', 'rclpy', 'planning', 'sim', 'nodes', 'experiments',
                    'commands'),
    ('planning',): ('torch', 'rclpy', 'mujoco', 'h5py', *set(OWN_LAYERS) - {'planning'}),
    ('sim.environment', 'experiments.closed_loop'): ('torch', 'rclpy', 'learning', 'nodes',
                                                     'commands'),
    ('sim',): ('rclpy', 'learning', 'nodes', 'experiments', 'commands'),
    ('nodes',): ('torch', 'h5py', 'learning', 'experiments', 'commands'),
    ('commands.__main__',): ('torch', 'onnxruntime', 'mujoco', 'rclpy',
                             *set(OWN_LAYERS) - {'commands'}),
}


def full_name(module):
    return f'{PACKAGE}.{module}' if module in (*FACTS, *OWN_LAYERS) else module


def loaded_after_importing(*modules):
    """Return all modules that a fresh process holds after it imported these of the package."""
    done = subprocess.run([sys.executable, '-c', PROBE, *(f'{PACKAGE}.{m}' for m in modules)],
                          capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return set(done.stdout.split())


@pytest.mark.parametrize('modules', LAYERS, ids=' '.join)
def test_a_layer_brings_nothing_along_from_the_layers_below(modules):
    loaded = loaded_after_importing(*modules)
    assert {f'{PACKAGE}.{m}' for m in modules} <= loaded
    came_along = {full_name(m) for m in LAYERS[modules]} & loaded
    assert came_along == set()


def test_the_probe_imports_every_module_of_a_layer_and_sees_what_comes_along():
    loaded = loaded_after_importing('nodes')
    assert {f'{PACKAGE}.nodes.planner_node', f'{PACKAGE}.nodes.control.replanner',
            full_name('planning'), full_name('sim'), 'rclpy', 'onnxruntime', 'mujoco'} <= loaded


def modules():
    """Return all modules of the package by name, as ``planning.planner``, with their files."""
    root = SOURCE / PACKAGE
    files = {'.'.join(file.relative_to(root).with_suffix('').parts): file
             for file in root.rglob('*.py')}
    return {name.removesuffix('.__init__'): file for name, file in files.items()}


def imported(name, file):
    """Return the modules of the package that one imports, anywhere in its text."""
    known, found = modules(), set()
    is_package = file.name == '__init__.py'
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.ImportFrom) and node.level:
            parts = name.split('.')
            parts = parts[:len(parts) - node.level + is_package]
            parts += node.module.split('.') if node.module else []
            inner = {'.'.join([*parts, alias.name]) for alias in node.names} & known.keys()
            found |= inner or {'.'.join(parts)}
    return found & known.keys()


def test_every_import_points_one_way_and_none_comes_back():
    graph = {name: imported(name, file) for name, file in modules().items()}
    for name, targets in graph.items():
        layer = name.split('.')[0]
        allowed = {*FACTS, '__init__', layer, *MAY_IMPORT.get(layer, ())}
        assert {t for t in targets if t.split('.')[0] not in allowed} == set(), name
    while graph:  # take away what imports nothing that is left; a circle would stay
        free = {name for name, targets in graph.items() if not targets & graph.keys() - {name}}
        assert free, f'a circle of imports: {sorted(graph)}'
        graph = {name: targets for name, targets in graph.items() if name not in free}


def test_a_folder_has_few_files_and_no_file_name_comes_twice():
    files = [f for folder in (PACKAGE, 'test', 'launch') for f in (SOURCE / folder).rglob('*.py')]
    assert {f: n for f, n in Counter(file.parent for file in files).items() if n > MAX_FILES} == {}
    names = Counter(file.name for file in files)
    assert {name for name, n in names.items() if n > 1} == {'__init__.py', '__main__.py'}
