# Copyright 2026 diffusion_planner_ros developers
# SPDX-License-Identifier: Apache-2.0
"""A training takes its budget of time, and goes on where it was interrupted."""

import json
import time

import pytest

from diffusion_planner_ros.experiments.comparison import training
from diffusion_planner_ros.experiments.comparison.training import read_training, train_within

UPDATE_TIME = 2e-3  # [s]
MINUTES = 0.01


class Counting:
    """A training that counts, and computes for a while."""

    n_parameters = 7

    def __init__(self, n_updates, dies_at=None):
        self.n_updates = n_updates
        self.n_done = 0
        self.dies_at = dies_at

    def update(self):
        if self.n_done == self.dies_at:
            raise KeyboardInterrupt
        begin = time.process_time()
        while time.process_time() - begin < UPDATE_TIME:
            pass
        self.n_done += 1

    def save(self, folder):
        (folder / 'n').write_text(str(self.n_done))

    def restore(self, folder):
        self.n_done = int((folder / 'n').read_text())

    def export(self, folder):
        (folder / 'exported').write_text(f'{self.n_done} of {self.n_updates}')


@pytest.fixture(autouse=True)
def short(monkeypatch):
    monkeypatch.setattr(training, 'SHORTEST_MEASUREMENT', 0.1)
    monkeypatch.setattr(training, 'SAVE_PERIOD', 0.1)


def test_as_many_updates_are_taken_as_fit_into_the_budget(tmp_path):
    train_within(MINUTES, Counting, tmp_path, {'kind': 'counting'})
    facts = read_training(tmp_path)
    assert facts['n_updates'] == pytest.approx(60 * MINUTES / UPDATE_TIME, rel=0.2)
    assert facts['minutes_taken'] == pytest.approx(MINUTES, rel=0.2)
    assert (facts['kind'], facts['parameters'], facts['is_done']) == ('counting', 7, True)
    n = facts['n_updates']
    assert (tmp_path / 'exported').read_text() == f'{n} of {n}'


def test_an_interrupted_training_goes_on_from_its_last_checkpoint(tmp_path):
    begun = []

    def build(n_updates):
        # The first one measures the rate.
        begun.append(Counting(n_updates, dies_at=150 if len(begun) == 1 else None))
        return begun[-1]

    with pytest.raises(KeyboardInterrupt):
        train_within(MINUTES, build, tmp_path, {})
    before = read_training(tmp_path)
    assert 0 < before['n_done'] <= 150
    assert not before['is_done']
    train_within(MINUTES, build, tmp_path, {})
    after = read_training(tmp_path)
    assert [t.n_updates for t in begun[1:]] == [before['n_updates']] * 2
    assert begun[-1].n_done == after['n_done'] == before['n_updates']
    assert after['minutes_taken'] == pytest.approx(MINUTES, rel=0.2)


def test_what_is_known_is_readable_at_any_time(tmp_path):
    assert read_training(tmp_path) is None
    train_within(1e-4, Counting, tmp_path, {})
    assert json.loads((tmp_path / 'training.json').read_text()) == read_training(tmp_path)
