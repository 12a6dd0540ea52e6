# Copyright 2026 diffusion_planner_ros developers
# SPDX-License-Identifier: Apache-2.0
"""One cell of a comparison: a method on a data set with a seed, trained and evaluated."""

from dataclasses import asdict, dataclass, replace
import json
from pathlib import Path
import re
from typing import Any

from ...data.formats import read_episodes
from ...files import written
from ...robot import Robot
from ...settings import as_facts
from ..robustness.robustness_conditions import NOMINAL
from .baselines.baseline_registry import BEHAVIOUR
from .baselines.behaviour import behaviour_facts
from .baselines.onnx_policy import OnnxPolicy
from .cell_model import CellModel, DataSet, PLANNER
from .contestants import Contestant, PlannerContestant, PolicyContestant
from .diffusion_training import BUNDLE_FOLDER
from .evaluation import Evaluation
from .method import Method

CELLS_FOLDER = 'cells'
CELL_FILE = 'cell.json'


@dataclass(frozen=True)
class Cell:
    """A method, what it learns from, and how it is measured."""

    method: Method
    data: DataSet
    seed: int
    """Of the training."""
    minutes: float
    """Time of training on one core [min]."""
    evaluation: Evaluation

    def __str__(self) -> str:
        return f'{self.method.label} on {self.data.label}, seed {self.seed}'

    @property
    def model(self) -> CellModel | None:
        """What has to be trained for it; None for the behaviour in the data."""
        return None if self.method.label == BEHAVIOUR else self._model_of(self.method)

    def _model_of(self, method: Method) -> CellModel:
        teacher = None if method.teacher is None else self._model_of(method.teacher)
        # The seed and the number of updates are the training's, and stand for nothing here.
        config = method.train and replace(method.train, seed=0, n_updates=1)
        return CellModel(PLANNER if config else method.label, config, self.data, self.seed,
                         self.minutes, teacher)

    @property
    def _asked(self) -> dict[str, Any]:
        """All that decides what is measured."""
        planner = self.method.planner
        return {'method': self.method.label, 'data': self.data.label, 'seed': self.seed,
                'planner': None if planner is None else as_facts(planner),
                'evaluation': asdict(self.evaluation),
                'model': {'data_sha256': self.data.sha256} if self.model is None
                else self.model.identity}

    def _file(self, out: Path) -> Path:
        name = re.sub(r'[^\w.+-]+', '_', self.method.label)
        return out / CELLS_FOLDER / self.data.label / f'{name}-seed-{self.seed}' / CELL_FILE

    def read(self, out: Path) -> dict[str, Any] | None:
        """Return what was measured; None if it was not, or with other settings."""
        file = self._file(out)
        if not file.is_file():
            return None
        facts = json.loads(file.read_text())
        return facts if facts['asked'] == self._asked else None

    def measure(self, out: Path) -> dict[str, Any]:
        """
        Evaluate what was trained, and write it down.

        :raises PlannerError: if the model or its data are not usable.
        """
        facts = {'asked': self._asked, **(self._behaviour() if self.model is None
                                          else self._trained(out, self.model))}
        file = self._file(out)
        file.parent.mkdir(parents=True, exist_ok=True)
        with written(file) as scratch:
            scratch.write_text(json.dumps(facts, indent=1))
        return facts

    def _behaviour(self) -> dict[str, Any]:
        robot = Robot.load(self.data.robot)
        episodes = read_episodes(self.data.path, robot)
        return {'conditions': {NOMINAL: behaviour_facts(self.data.path, episodes, robot.name)}}

    def _trained(self, out: Path, model: CellModel) -> dict[str, Any]:
        folder, planner = model.folder(out), self.method.planner
        robot = Robot.load(self.data.robot).name
        contestant: Contestant = (
            PolicyContestant(OnnxPolicy.load(folder), robot) if planner is None
            else PlannerContestant(folder / BUNDLE_FOLDER, planner))
        training = model.facts(out)
        return {'folder': str(folder.relative_to(out)),
                'n_candidates': planner and planner.n_candidates,
                'n_denoise_steps': planner and planner.n_denoise_steps,
                'training_minutes': model.minutes_taken(out),
                'n_updates': training['n_updates'], 'parameters': training['parameters'],
                **self.evaluation.measure(contestant, robot)}
