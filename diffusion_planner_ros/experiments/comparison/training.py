# Copyright 2026 diffusion_planner_ros developers
# SPDX-License-Identifier: Apache-2.0
"""Training within a budget of time on one core, resumed where it was interrupted."""

from collections.abc import Callable
import json
from pathlib import Path
import time
from typing import Any, Protocol

from ...files import written

TRAINING_FILE = 'training.json'
N_WARMUP = 20  # updates before the rate is measured: the first ones take longer
MEASURED_SHARE = 0.03  # of the budget, for which the rate is measured; it does not count
SHORTEST_MEASUREMENT = 1.0  # [s]
SAVE_PERIOD = 60.0  # [s] of training between two checkpoints


class Training(Protocol):
    """A method that learns, step by step."""

    @property
    def n_done(self) -> int:
        """Gradient steps so far."""

    @property
    def n_parameters(self) -> int:
        """Weights of the networks that act when the training is over."""

    def update(self) -> None:
        """Take one gradient step."""

    def save(self, folder: Path) -> None:
        """Write ``folder/checkpoint.pt``."""

    def restore(self, folder: Path) -> None:
        """Go on from ``folder/checkpoint.pt``."""

    def export(self, folder: Path) -> None:
        """Write what acts: a bundle or a policy."""


def read_training(folder: Path) -> dict[str, Any] | None:
    """Return what is known of the training in a folder, None if none was begun there."""
    file = folder / TRAINING_FILE
    return json.loads(file.read_text()) if file.is_file() else None


def train_within(minutes: float, build: Callable[[int], Training], folder: Path,
                 facts: dict[str, Any]) -> None:
    """
    Train as many updates as fit into a budget, and export; all is in ``folder``.

    The number of updates follows from their rate at the beginning, so that a learning rate can end
    with the budget. Time is that of this process on a core: others beside it cost little of it.

    :param minutes: of training.
    :param build: begins a training of a number of updates.
    :param folder: is there.
    :param facts: what is trained, to be written down beside the rest.
    :raises OutputError: if a file cannot be written.
    """
    known = read_training(folder)
    if known is None:
        rate = _measure_rate(build(1_000_000), max(SHORTEST_MEASUREMENT,
                                                   MEASURED_SHARE * minutes * 60.0))
        known = {**facts, 'updates_per_second': rate,
                 'n_updates': max(1, round(rate * minutes * 60.0)), 'n_done': 0,
                 'minutes_taken': 0.0, 'is_done': False}
        _write(folder, known)
    training = build(known['n_updates'])
    if known['n_done']:
        training.restore(folder)
    every = max(1, round(known['updates_per_second'] * SAVE_PERIOD))
    begin = time.process_time()
    while training.n_done < known['n_updates']:
        training.update()
        if training.n_done % every == 0 or training.n_done == known['n_updates']:
            training.save(folder)
            known['n_done'] = training.n_done
            known['minutes_taken'] += (time.process_time() - begin) / 60.0
            _write(folder, known)
            begin = time.process_time()
    training.export(folder)
    _write(folder, known | {'parameters': training.n_parameters, 'is_done': True})


def _measure_rate(training: Training, seconds: float) -> float:
    """Return how many updates a second takes."""
    for _ in range(N_WARMUP):
        training.update()
    begin, n = time.process_time(), 0
    while (passed := time.process_time() - begin) < seconds:
        training.update()
        n += 1
    return n / passed


def _write(folder: Path, facts: dict[str, Any]) -> None:
    with written(folder / TRAINING_FILE) as scratch:
        scratch.write_text(json.dumps(facts, indent=1))
