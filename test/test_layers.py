"""Imports point one way: each layer is imported in a fresh process, to see what comes along."""

import subprocess
import sys

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
FACTS = ('episode', 'errors', 'knobs', 'normalizer', 'robot', 'schedule', 'share', 'urdf')
OWN_LAYERS = ('learning', 'planning', 'sim', 'nodes', 'commands')
# what is imported, all modules below it included: what must not come along
LAYERS = {
    FACTS: ('torch', 'onnxruntime', 'mujoco', 'rclpy', *OWN_LAYERS),
    ('learning',): ('onnxruntime', 'rclpy', 'planning', 'sim', 'nodes', 'commands'),
    ('planning',): ('torch', 'rclpy', 'mujoco', 'learning', 'sim', 'nodes', 'commands'),
    ('sim.walker2d', 'sim.evaluate'): ('torch', 'rclpy', 'learning', 'nodes', 'commands'),
    ('sim',): ('rclpy', 'learning', 'nodes', 'commands'),
    ('nodes',): ('torch', 'h5py', 'learning', 'commands'),
    ('cli',): ('torch', 'onnxruntime', 'mujoco', 'rclpy', *OWN_LAYERS),
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
    assert {f'{PACKAGE}.nodes.planner', f'{PACKAGE}.nodes.session', full_name('planning'),
            full_name('sim'), 'rclpy', 'onnxruntime', 'mujoco'} <= loaded
