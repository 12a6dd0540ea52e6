# Copyright 2026 diffusion_planner_ros developers
# SPDX-License-Identifier: Apache-2.0
"""What a cell needs trained: networks or a policy, on one data set with one seed."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
import hashlib
import json
from pathlib import Path
from typing import Any

from ...data.data_facts import data_facts
from ...data.formats import read_episodes
from ...errors import DatasetError
from ...learning.learner import CHECKPOINT_FILE
from ...learning.train_config import TrainConfig
from ...robot import Robot
from ...settings import as_facts
from .baselines.baseline_registry import BASELINES
from .baselines.transitions import Transitions
from .diffusion_training import DiffusionTraining
from .training import read_training, train_within, Training

MODELS_FOLDER = 'models'
PLANNER = 'planner'


@dataclass(frozen=True)
class DataSet:
    """A data set, and what tells that it is still the same."""

    path: Path
    sha256: str
    robot: str
    """Name of a robot, or path of its folder."""

    @classmethod
    def at(cls, path: Path, robot: str) -> 'DataSet':
        """
        Hash a file, or all files of a folder in the order of their names.

        :raises DatasetError: if there is no such file or folder.
        """
        if not path.exists():
            raise DatasetError(f'{path}: no such file or folder, expected a data set')
        files = sorted(f for f in path.rglob('*') if f.is_file()) if path.is_dir() else [path]
        digest = hashlib.sha256()
        for file in files:
            digest.update(file.read_bytes())
        return cls(path, digest.hexdigest(), robot)

    @property
    def label(self) -> str:
        """Name in tables and of folders."""
        return self.path.name


@dataclass(frozen=True)
class CellModel:
    """A model to be trained; cells that plan with it in different ways share it."""

    kind: str
    """``planner``, or the name of a baseline."""
    config: TrainConfig | None
    """None for a baseline."""
    data: DataSet
    seed: int
    minutes: float
    """Time of training on one core [min]."""
    teacher: 'CellModel | None'
    """Whose model is distilled; None where there is none."""

    def __str__(self) -> str:
        return f'training of {self._name} on {self.data.label}, seed {self.seed}'

    @property
    def _name(self) -> str:
        return f'{self.config.denoiser}-{self.config.horizon}' if self.config else self.kind

    @property
    def identity(self) -> dict[str, Any]:
        """All that decides what is learned."""
        config = None if self.config is None else as_facts(self.config)
        return {'kind': self.kind, 'config': config, 'data': self.data.label,
                'data_sha256': self.data.sha256, 'robot': self.data.robot, 'seed': self.seed,
                'minutes': self.minutes,
                'teacher': None if self.teacher is None else self.teacher.identity}

    def folder(self, out: Path) -> Path:
        """Return where it is: models of other settings are in other folders."""
        digest = hashlib.sha256(json.dumps(self.identity, sort_keys=True).encode()).hexdigest()
        name = f'{self._name}-{digest[:8]}-seed-{self.seed}'
        return out / MODELS_FOLDER / self.data.label / name

    def is_done(self, out: Path) -> bool:
        """Whether the training is over and exported."""
        facts = read_training(self.folder(out))
        return facts is not None and facts['is_done']

    def facts(self, out: Path) -> dict[str, Any]:
        """Return what a training that is done came to."""
        facts = read_training(self.folder(out))
        assert facts is not None  # it is done
        return facts

    def minutes_taken(self, out: Path) -> float:
        """Return the time of its training [min], its teacher's included."""
        teacher = 0.0 if self.teacher is None else self.teacher.minutes_taken(out)
        return teacher + self.facts(out)['minutes_taken']

    def train(self, out: Path) -> None:
        """
        Train it, go on, or do nothing if it is done.

        :raises PlannerError: if its data or settings are not usable.
        """
        if self.is_done(out):
            return
        robot = Robot.load(self.data.robot)
        episodes = read_episodes(self.data.path, robot)
        build: Callable[..., Training]
        if self.config is None:
            transitions = Transitions.of(episodes, robot)
            build = partial(BASELINES[self.kind], transitions, seed=self.seed)
        else:
            config = replace(self.config, seed=self.seed)
            teacher = (None if self.teacher is None
                       else self.teacher.folder(out) / CHECKPOINT_FILE)
            facts = data_facts({self.data.path: episodes})

            def build(*, n_updates: int) -> Training:
                return DiffusionTraining(replace(config, n_updates=n_updates), robot, episodes,
                                         facts, teacher)
        folder = self.folder(out)
        folder.mkdir(parents=True, exist_ok=True)
        train_within(self.minutes, lambda n: build(n_updates=n), folder, self.identity)
