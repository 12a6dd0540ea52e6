# Copyright 2026 diffusion_planner_ros developers
# SPDX-License-Identifier: Apache-2.0
"""Full disks: whatever cannot be written is named in one line, and nothing half-written stays."""

import filecmp
import os
from pathlib import Path
import resource
import shutil
import subprocess
import sys
import time

from fault_recorder import row
from geometry_msgs.msg import Point
import pytest
from ros_processes import environment, observer, spin_for, TIME_LIMIT
from visualization_msgs.msg import Marker, MarkerArray

from diffusion_planner_ros.data.bags.cut_mcap import mcap_messages
from diffusion_planner_ros.errors import OutputError
from diffusion_planner_ros.files import written
from diffusion_planner_ros.nodes.common.topics import MARKERS
from diffusion_planner_ros.nodes.display.markers import CHOSEN
from diffusion_planner_ros.planning.bundle import Bundle
from diffusion_planner_ros.share import share_file

FULL = Path('/dev/full')  # a device that is always full
FAST = ('--planner.n-candidates', '1', '--planner.n-denoise-steps', '1')  # it falls soon


def start(*words, size=None, stdout=subprocess.PIPE):
    """Start a verb; no file that it writes may become larger than ``size`` bytes."""
    def limit():
        if size is not None:
            resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))
    return subprocess.Popen(
        [sys.executable, '-m', 'diffusion_planner_ros.commands', *map(str, words)], text=True,
        stdout=stdout, stderr=subprocess.PIPE, preexec_fn=limit,
        env={**environment(), 'PYTHONPATH': os.pathsep.join(sys.path)})


def error_of(process):
    """Return the last line of a verb that fails as it should."""
    try:
        _, errors = process.communicate(timeout=4 * TIME_LIMIT)
    finally:
        process.kill()
        process.wait()
    assert process.returncode == 1, errors
    assert 'Traceback' not in errors
    lines = [line for line in errors.splitlines() if line.startswith('diffusion_planner: ')]
    assert lines == errors.splitlines()[-1:], errors
    return lines[0]


def keep(record_property, verb, file, error):
    row(record_property, f'disk full: `{verb}` writes {file}', stop='-', sent='-',
        reported=f'exit code 1, `{file}: cannot be written ({error.split("(")[1].split(")")[0]})`',
        recovery='run it again')


def test_a_score_that_cannot_be_written_leaves_the_bundle_as_it_was(tmp_path, record_property):
    bundle = shutil.copytree(share_file('models/walker2d'), tmp_path / 'bundle')
    error = error_of(start('evaluate', '--bundle', bundle, '--episodes', 1, '--processes', 1,
                           *FAST, '--write-score', size=4096))
    assert f'{bundle}/model.yaml: cannot be written (File too large)' in error
    assert not filecmp.dircmp(share_file('models/walker2d'), bundle).diff_files
    assert len(list(bundle.iterdir())) == len(list(share_file('models/walker2d').iterdir()))
    Bundle.load(bundle)
    keep(record_property, 'evaluate --write-score', 'model.yaml', error)


@pytest.mark.slow
def test_an_export_that_cannot_be_written_leaves_the_old_bundle(checkpoint_of, tmp_path,
                                                                record_property):
    bundle = shutil.copytree(share_file('models/walker2d'), tmp_path / 'bundle')
    error = error_of(start('export', '--checkpoint', checkpoint_of('mlp', 'x0'), '--out', bundle,
                           size=16384))
    assert 'denoiser.onnx: cannot be written (File too large)' in error
    assert list(tmp_path.iterdir()) == [bundle]
    Bundle.load(bundle)
    keep(record_property, 'export', 'denoiser.onnx', error)


@pytest.mark.slow
def test_a_walk_that_cannot_be_written_says_so(tmp_path, record_property):
    file = 'summary.json'
    (tmp_path / file).symlink_to(FULL)
    error = error_of(start('walk', '--lockstep', '--no-video', '--no-view', *FAST,
                           '--out', tmp_path))
    assert f'{tmp_path}/{file}: cannot be written (No space left on device)' in error
    assert not any(f.is_file() and f.suffix == '.json' for f in tmp_path.iterdir())
    assert not list(tmp_path.glob('.partial*'))
    keep(record_property, 'walk', file, error)


@pytest.mark.slow
def test_a_walk_goes_on_when_its_recording_cannot(tmp_path, record_property):
    file = tmp_path / 'run.mcap'
    process = start('walk', '--lockstep', '--no-video', *FAST, '--out', tmp_path / 'walk',
                    '--mcap', file, size=1_400_000)  # a report is smaller
    try:
        _, errors = process.communicate(timeout=4 * TIME_LIMIT)
    finally:
        process.kill()
        process.wait()
    assert process.returncode == 0, errors
    (line,) = (part for part in errors.replace('\r', '\n').splitlines() if 'McapRecorder' in part)
    assert f'McapRecorder: {file}: cannot be written (File too large), expected a file' in line
    assert (tmp_path / 'walk' / 'summary.json').is_file()
    messages = list(mcap_messages(file))
    assert len({m.topic for m in messages}) > 5 and len(messages) > 500
    row(record_property, 'disk full: `walk --mcap` records', stop='-', sent='-',
        reported='one line; the walk goes on', recovery='what was recorded before is there')


def test_a_snapshot_that_cannot_be_written_says_so(tmp_path, record_property):
    picture = tmp_path / 'snapshot.png'
    picture.symlink_to(FULL)
    marker = Marker(ns=CHOSEN, type=Marker.LINE_STRIP,
                    points=[Point(x=0.1 * k, z=1.0) for k in range(5)])
    marker.scale.x = 0.01
    process = start('snapshot', '--out', picture)
    with observer() as node:
        publisher = node.create_publisher(MarkerArray, MARKERS.path, 1)
        deadline = time.monotonic() + TIME_LIMIT
        while process.poll() is None and time.monotonic() < deadline:
            publisher.publish(MarkerArray(markers=[marker]))
            spin_for(node, 0.1)
    error = error_of(process)
    assert f'{picture}: cannot be written (No space left on device)' in error
    keep(record_property, 'snapshot', 'snapshot.png', error)


def test_a_report_that_cannot_be_printed_says_so(record_property):
    with FULL.open('w') as full:
        error = error_of(start('info', share_file('models/walker2d'), stdout=full))
    assert error == ('diffusion_planner: standard output: cannot be written '
                     '(No space left on device)')
    keep(record_property, 'info', 'standard output', error)


def test_a_file_is_replaced_only_when_it_is_complete(tmp_path):
    file = tmp_path / 'file.txt'
    file.write_text('old')
    with pytest.raises(OutputError, match=r'file.txt: cannot be written \(half\)'), \
            written(file) as scratch:
        scratch.write_text('ne')
        raise OSError(0, 'half')
    assert file.read_text() == 'old'
    with written(file) as scratch:
        scratch.write_text('new')
    assert file.read_text() == 'new'
    assert list(tmp_path.iterdir()) == [file]
