# Copyright 2026 diffusion_planner_ros developers
# SPDX-License-Identifier: Apache-2.0
"""Models that fail while they plan, and bundles that should never get to plan."""

import shutil
import time

from driver import Driver
from fault_recorder import milliseconds, recording, row
from faulty_bundle import faulty_bundle, TRIGGER_JOINT, TRIGGER_VELOCITY
from lifecycle import ACTIVATE, change, CONFIGURE, Health, state_of
import numpy as np
import pytest
from rcl_interfaces.srv import SetParameters
from ros_processes import call, parameter, running, spin_for
from walker import Walker2D
import yaml

from diffusion_planner_ros.messages.stamps import NO_STATE
from diffusion_planner_ros.nodes.common.topics import COMMANDS, SET_PLANNER_PARAMETERS
from diffusion_planner_ros.planning.bundle import FACTS_FILE, read_facts, write_facts
from diffusion_planner_ros.share import share_file

SHIPPED = 'models/walker2d'
FILES = ('denoiser.onnx', 'value.onnx', FACTS_FILE)
# States are made up here, so the monitor is off. Without delay a plan knows the shown state only:
# a forecast one may strain the joint that makes a network fail.
SETTINGS = {'use_sim_time': True, 'ramp_time': 0.0, 'action_delay': 0, 'ood_warn': 0.0,
            'ood_stop': 0.0, 'max_jump': 0.0, 'max_state_deviation': 0.0, 'max_equal_states': 0}
SLOW_PLAN = 0.5  # [s]
MAX_PLAN_GAP = 0.1  # [s], the planner's default
NOISE = 1.0  # [s] that a busy machine may add to any time


@pytest.fixture(autouse=True)
def recorder():
    with recording() as recorder:
        yield recorder


class Robot(Driver):
    """A robot that stands still at 125 Hz, except where a test says so."""

    def __init__(self, node):
        super().__init__(node)
        self.walker = Walker2D()
        self.walker.reset(seed=0)
        self.step = 0
        self.velocity = self.walker.qvel.copy()
        node.create_timer(0.008, self._tick)

    def strain(self, is_strained):
        """Move the joint that makes the network fail, from the next state on."""
        velocity = self.walker.qvel.copy()
        if is_strained:
            velocity[self.walker.joint_names.index(TRIGGER_JOINT)] = TRIGGER_VELOCITY + 0.5
        self.velocity = velocity
        return time.time()

    def _tick(self):
        self.show(self.step, self.walker.qpos, self.velocity)
        self.set_clock(self.step)
        self.step += 1


# What the log says of it, how long the stop may take [s], whether a person has to end the stop.
FAULTS = {'raise': ('stop: inference failed', NOISE, True),
          'nan': ('stop: no plan for the state', NOISE, False),
          'slow': ('stop: late plan', MAX_PLAN_GAP + NOISE, False)}
NAMES = {'raise': 'inference raises', 'nan': 'network gives NaN',
         'slow': f'inference takes {SLOW_PLAN} s'}


@pytest.mark.parametrize('fault', FAULTS)
def test_a_network_that_fails_stops_the_robot(fault, tmp_path, recorder, record_property):
    text, limit, needs_person = FAULTS[fault]
    bundle = faulty_bundle(tmp_path / 'bundle', fault)
    with running('planner', tmp_path, bundle=str(bundle), **SETTINGS) as planner:
        robot = Robot(recorder.node)
        recorder.wait(lambda: len(recorder.commands) > 20 and all(
            c.torque.any() for c in recorder.commands[-10:]), 'plans', planner)
        n_before = len(planner.output)
        strained = robot.strain(True)
        stop = recorder.wait(lambda: recorder.stop_after(strained), 'stop', planner)
        assert stop.sent - strained <= limit
        recorder.wait(lambda: text in planner.output[n_before:], text, planner)
        spin_for(recorder.node, 0.3)
        assert not any(c.torque.any() for c in recorder.commands_since(stop.sent))
        if needs_person:
            recorder.wait(lambda: 'Traceback' in planner.output, 'traceback', planner)
            recorder.wait(lambda: state_of(recorder.node) == 'inactive', 'deactivation', planner)
            recorder.health.wait_for('failed', planner)
            assert 'inference failed' in recorder.health.messages[-1]
            spin_for(recorder.node, 0.1)
            assert recorder.commands[-1].is_stop
            robot.strain(False)
            mended = time.time()
            assert change(recorder.node, ACTIVATE)
        else:
            assert 'Traceback' not in planner.output
            mended = robot.strain(False)
        plan = recorder.wait(lambda: recorder.plan_after(mended), 'plan', planner)
        recorder.health.wait_for('planning', planner)
    recovery = 'activate again' if needs_person else 'the next good plan'
    row(record_property, NAMES[fault], stop=milliseconds(stop.sent - strained),
        sent='zero torque', reported=f'`{text}`' + (
            ', traceback, the node deactivates itself' if needs_person else ''),
        recovery=f'{recovery}, {milliseconds(plan.sent - mended)} ms')


# Bundles that do not get to plan


def truncate(name):
    def spoil(folder):
        content = (folder / name).read_bytes()
        (folder / name).write_bytes(content[:len(content) // 2])
        return f'{folder}/{name}: ', ''
    return spoil


def flip(name):
    def spoil(folder):
        content = bytearray((folder / name).read_bytes())
        if name == FACTS_FILE:  # in a number, so that it is YAML still
            at = content.index(b'horizon: ') + len(b'horizon: ')
        else:
            at = len(content) // 2
        content[at] ^= 1
        (folder / name).write_bytes(content)
        return f'{folder}/{name}: SHA-256', 'expected'
    return spoil


def remove(name):
    def spoil(folder):
        (folder / name).unlink()
        return f'{folder}/{name}: no such file', 'expected'
    return spoil


def wrong_version(folder):
    facts = yaml.safe_load((folder / FACTS_FILE).read_text())
    (folder / FACTS_FILE).write_text(yaml.safe_dump({**facts, 'format_version': '6.0'}))
    return f'{folder}/{FACTS_FILE}: format version is 6.0', 'expected 5.x'


def rewrite_robot(folder, change):
    facts = read_facts(folder)
    del facts['sha256']
    change(facts['robot'])
    write_facts(folder, facts)


def other_joints(folder):
    def change(robot):
        for entry in (*robot['state'], *robot['action']):
            entry['joint'] = entry['joint'].replace('foot', 'paw')
    rewrite_robot(folder, change)
    return f'{folder}/{FACTS_FILE}: ', "'paw_joint', expected"


def other_layout(folder):
    rewrite_robot(folder, lambda robot: robot['action'].pop())
    return f'{folder}/{FACTS_FILE}: normalizer has (23,) entries', 'expected (22,)'


SPOILT = {**{f'{name} truncated': truncate(name) for name in FILES},
          **{f'{name}: one bit flipped': flip(name) for name in FILES},
          **{f'{name} missing': remove(name) for name in FILES},
          'wrong format version': wrong_version, 'of a robot with other joints': other_joints,
          'of a robot with fewer joints': other_layout}


def test_no_spoilt_bundle_gets_to_plan(tmp_path, recorder, record_property):
    with running('planner', tmp_path, autostart=False, **SETTINGS) as planner:
        robot = Robot(recorder.node)
        for name, spoil in SPOILT.items():
            folder = shutil.copytree(share_file(SHIPPED), tmp_path / name.replace(' ', '_'))
            found, expected = spoil(folder)
            before = len(planner.output)
            request = SetParameters.Request(parameters=[parameter('bundle', str(folder))])
            assert call(recorder.node, SetParameters, SET_PLANNER_PARAMETERS.path,
                        request).results[0].successful
            assert not change(recorder.node, CONFIGURE), name
            lines = planner.output[before:].splitlines()
            assert len(lines) == 1, lines
            assert found in lines[0] and expected in lines[0], lines[0]
            assert state_of(recorder.node) == 'unconfigured'
            assert not recorder.node.count_publishers(COMMANDS.path)
            said = lines[0].split('on_configure: ')[1].replace(f'{folder}/', '')
            row(record_property, f'bundle: {name}', stop='-', sent='nothing',
                reported=f'configure refused: `{short(said)}`',
                recovery='configure with a good one')
        assert not recorder.commands
        # The same process goes on with a good one.
        request = SetParameters.Request(parameters=[parameter('bundle', '')])
        call(recorder.node, SetParameters, SET_PLANNER_PARAMETERS.path, request)
        assert change(recorder.node, CONFIGURE) and change(recorder.node, ACTIVATE)
        recorder.wait(lambda: any(c.torque.any() for c in recorder.commands), 'plan', planner)
        assert robot.step > 0


def short(text):
    """Return the beginning of a message, hashes abridged."""
    words = [word if len(word) < 60 else f'{word[:8]}..' for word in text.split()]
    return ' '.join(words).split(';')[0].split(' (')[0]


def test_a_missing_provider_is_refused(tmp_path, recorder, record_property):
    text = "provider 'tensorrt' is not available, expected one of cpu"
    with running('planner', tmp_path, autostart=False, provider='tensorrt',
                 **SETTINGS) as planner:
        health = Health(recorder.node)
        assert not change(recorder.node, CONFIGURE)
        assert text in planner.output
        assert 'Traceback' not in planner.output
        health.wait_for('unconfigured', planner)
    assert all(c.answered != NO_STATE or not np.any(c.torque) for c in recorder.commands)
    assert not recorder.commands
    row(record_property, 'provider missing', stop='-', sent='nothing',
        reported=f'configure refused: `{text}`', recovery='another `provider`')
