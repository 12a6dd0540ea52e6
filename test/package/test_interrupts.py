# Copyright 2026 diffusion_planner_ros developers
# SPDX-License-Identifier: Apache-2.0
"""Ctrl-C, as a terminal sends it, ends long work at once, and leaves what can be used."""

from contextlib import contextmanager
import os
import pickle
import signal
import subprocess
import sys
import threading

import pytest

from diffusion_planner_ros.learning.learner import CHECKPOINT_FILE, load_checkpoint

TIME_LIMIT = 240.0  # [s]
END_TIME = 20.0  # [s] from Ctrl-C to the end, on a busy machine
SMALL = ('--width', '16', '--value-width', '16', '--dynamics-width', '16', '--batch-size', '16')


class Verb:
    """A running verb, in a process group of its own."""

    def __init__(self, *words):
        self.process = subprocess.Popen(
            [sys.executable, '-m', 'diffusion_planner_ros.commands', *map(str, words)],
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True)

    def wait_for(self, text):
        """Read until a line begins with a text."""
        for line in self.process.stderr:
            if line.startswith(text):
                return
        pytest.fail(f'it ended with exit code {self.process.wait()}')

    def interrupt(self):
        """Press Ctrl-C; return the exit code, standard output and the lines that came since."""
        os.killpg(self.process.pid, signal.SIGINT)
        out, err = self.process.communicate(timeout=END_TIME)
        assert '\r' not in err
        assert 'Traceback' not in err
        return self.process.returncode, out, err.splitlines()


@contextmanager
def started(*words):
    verb = Verb(*words)
    timer = threading.Timer(TIME_LIMIT, lambda: os.killpg(verb.process.pid, signal.SIGKILL))
    timer.start()
    try:
        yield verb
    finally:
        timer.cancel()
        verb.process.kill()
        verb.process.wait()


def test_a_training_is_saved_and_goes_on(dataset, tmp_path):
    words = ('train', '--data', dataset, '--out', tmp_path, *SMALL, '--n-updates', 1_000_000,
             '--checkpoint-every', 1_000_000, '--json')
    n_updates = [0]
    for resume in ((), ('--resume',)):
        with started(*words, *resume) as verb:
            verb.wait_for('training: ')
            code, out, lines = verb.interrupt()
        assert (code, out) == (130, '')
        assert lines[-1] == ('diffusion_planner: interrupted; go on with the same command and '
                             '--resume')
        n_updates.append(load_checkpoint(tmp_path / CHECKPOINT_FILE)['n_updates'])
    assert 0 < n_updates[1] < n_updates[2]


@pytest.mark.slow
def test_a_collection_is_saved_and_goes_on(tmp_path):
    words = ('collect', '--out', tmp_path / 'data', '--n-learn', 1_000_000)
    n_done = [0]
    for resume in ((), ('--resume',)):
        with started(*words, *resume) as verb:
            verb.wait_for('learning to move: ')
            code, out, lines = verb.interrupt()
        assert (code, out) == (130, '')
        assert lines[-1] == ('diffusion_planner: interrupted; go on with the same command and '
                             '--resume')
        file, = (tmp_path / 'data').iterdir()
        saved = pickle.loads(file.read_bytes())
        n_done.append(saved['n_done'])
        assert 0 < sum(map(len, saved['episodes'])) <= saved['n_done']
    assert 0 < n_done[1] < n_done[2]


@pytest.mark.parametrize('everybody', [
    pytest.param(True, id='terminal'), pytest.param(False, id='kill', marks=pytest.mark.slow)])
def test_workers_end_at_once(everybody):
    with started('evaluate', '--episodes', 40, '--processes', 2, '--json') as verb:
        verb.wait_for('walking: ')
        if not everybody:
            verb.process.send_signal(signal.SIGINT)
            out, err = verb.process.communicate(timeout=END_TIME)
            code, lines = verb.process.returncode, err.splitlines()
        else:
            code, out, lines = verb.interrupt()
    assert (code, out) == (130, '')
    assert lines[-1].startswith('diffusion_planner: interrupted; there is no result yet')
    assert 'Traceback' not in '\n'.join(lines)
