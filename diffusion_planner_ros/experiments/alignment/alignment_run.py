# Copyright 2026 diffusion_planner_ros developers
# SPDX-License-Identifier: Apache-2.0
"""The loop of an online alignment: execute plans, learn from them, keep what is not worse."""

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass, replace
import json
from pathlib import Path
import time
from typing import Any

from ...data.d4rl_format import write_d4rl
from ...data.formats import read_episodes
from ...episode import Episode
from ...errors import ModelError
from ...files import written
from ...learning.alignment import Aligner
from ...learning.learner import load_checkpoint
from ...learning.onnx_export import TrainedModel, WeightWriter
from ...planning import bundle as bundles
from ...planning.planner_config import PlannerConfig
from ...settings import as_facts
from ...sim.perturbation_ranges import Robots
from ..closed_loop import check_robot, run_episodes, summarize
from ..execution import Execution
from ..misalignment import misalignment_of, watch_episodes

PROGRESS_FILE = 'progress.json'
EXECUTED_FOLDER = 'executed'
GUARDED_FOLDER = 'guarded'
ALIGNED_FOLDER = 'aligned'
GUARD_SEED = 10_000  # of the guard's first episode
FIRST_SEED = 1_000_000  # of the first executed episode, times 1 + the seed of the alignment
BATCH = 4  # episodes that are started together; the same for any number of processes


@dataclass(frozen=True)
class GuardResult:
    """How good the model is, over the guard's episodes."""

    n_steps: int
    """Steps of the robot that the model has learned from."""
    return_mean: float
    return_stderr: float
    falls: int
    misalignment: float
    """Mean over the plans [standard deviations of the data]."""
    misalignment_stderr: float


class AlignmentRun:
    """
    An alignment in a folder, which holds all that it takes to go on.

    ``checkpoint-ROUND.pt`` is the model, ``guarded/`` holds those that the guard evaluated,
    ``executed/`` the episodes of every round, and ``progress.json`` what came of it.

    :param aligner: as its checkpoint and offline data leave it.
    :param pool: worker processes.
    :raises ConfigError: if a plan of the model does not outlast its execution.
    """

    def __init__(self, aligner: Aligner, folder: Path, *, planner: PlannerConfig,
                 perturbation: Robots,
                 pool: ProcessPoolExecutor) -> None:
        self.aligner = aligner
        self.guards: list[GuardResult] = []
        self.rounds: list[dict[str, float]] = []
        self.n_guard_steps = 0
        self.minutes = 0.0  # [min] until it was last saved, those of earlier calls included
        self.exported: int | None = None  # ``n_steps`` of the guard's model in ``aligned/``
        self.folder = folder
        self._planner = planner
        self._perturbation = perturbation
        self._pool = pool
        self._next_seed = FIRST_SEED * (1 + aligner.settings.seed)
        self._writer: WeightWriter | None = None
        self._timed = time.monotonic()
        self._execution.check_horizon(aligner.config.horizon)
        for name in (EXECUTED_FOLDER, GUARDED_FOLDER):
            (folder / name).mkdir(parents=True, exist_ok=True)

    @property
    def settings(self) -> dict[str, Any]:
        """What a run that goes on must have in common."""
        return {'align': asdict(self.aligner.settings), 'planner': as_facts(self._planner),
                'perturbation': as_facts(self._perturbation), 'model': asdict(self.aligner.config),
                'data': {'offline_steps': len(self.aligner.offline)}}

    @property
    def _execution(self) -> Execution:
        settings = self.aligner.settings
        return Execution(n_execute=settings.n_execute, exploration=(
            0.0 if self.aligner.is_settling else settings.exploration))

    @property
    def is_over(self) -> bool:
        """Whether the robot has taken all its steps."""
        return self.aligner.n_steps >= self.aligner.settings.n_steps

    @property
    def is_finished(self) -> bool:
        """Whether nothing is left to execute or to evaluate."""
        return self.is_over and not self.is_guard_due

    @property
    def is_guard_due(self) -> bool:
        """Whether the model as it is has to be evaluated."""
        is_evaluated = bool(self.guards) and self.guards[-1].n_steps == self.aligner.n_steps
        every = self.aligner.settings.guard_every
        return not is_evaluated and (self.is_over or len(self.rounds) % every == 0)

    def executed(self) -> Iterator[list[Episode]]:
        """Read the executed episodes of every round."""
        for number in range(len(self.rounds)):
            yield read_episodes(self._executed_file(number), self.aligner.robot)

    @property
    def best(self) -> GuardResult:
        """
        The least misaligned of the models that walk as well as any.

        As well: within one standard error of the highest return.
        """
        highest = max(self.guards, key=lambda guard: guard.return_mean)
        as_good = [guard for guard in self.guards
                   if guard.return_mean >= highest.return_mean - highest.return_stderr]
        return min(as_good, key=lambda guard: guard.misalignment)

    def guarded_file(self, guard: GuardResult) -> Path:
        """Return the checkpoint of a model that the guard evaluated."""
        return self.folder / GUARDED_FOLDER / f'{guard.n_steps:09d}.pt'

    def _progress(self) -> dict[str, Any]:
        return {'settings': self.settings, 'next_seed': self._next_seed,
                'guard_steps': self.n_guard_steps, 'minutes': self.minutes,
                'exported': self.exported, 'rounds': self.rounds,
                'guards': [asdict(guard) for guard in self.guards]}

    def save(self) -> None:
        """Write what it takes to go on from here."""
        now = time.monotonic()
        self.minutes, self._timed = self.minutes + (now - self._timed) / 60, now
        # A new name in every round: killed in between, the old pair of files is still one.
        self.aligner.save(self._checkpoint_file)
        with written(self.folder / PROGRESS_FILE) as scratch:
            scratch.write_text(json.dumps(self._progress(), indent=1))
        for file in set(self.folder.glob('checkpoint-*.pt')) - {self._checkpoint_file}:
            file.unlink()

    def resume(self) -> None:
        """
        Go on from the folder.

        :raises ModelError: if there is none, or it was begun with other settings.
        """
        file = self.folder / PROGRESS_FILE
        if not file.is_file():
            raise ModelError(f'{file}: no such file, expected that of an alignment to go on '
                             'with; without --resume a new one begins')
        try:
            progress = json.loads(file.read_text())
        except json.JSONDecodeError as error:
            raise ModelError(f'{file}: not the progress of an alignment ({error})') from error
        for part, mine in self.settings.items():
            for name, value in progress['settings'].get(part, {}).items():
                if name not in ('n_steps', 'n_threads') and value != mine.get(name):
                    raise ModelError(f'{file}: was begun with {part} {name} {value!r}, now '
                                     f'{mine.get(name)!r}; resume with the same settings or '
                                     'choose another folder')
        self.rounds = progress['rounds']
        self.guards = [GuardResult(**guard) for guard in progress['guards']]
        self._next_seed, self.n_guard_steps = progress['next_seed'], progress['guard_steps']
        self.exported = progress.get('exported')
        self.minutes = progress.get('minutes', 0.0)
        for episodes in self.executed():
            self.aligner.add(episodes)
        self.aligner.learner.restore(load_checkpoint(self._checkpoint_file))

    @property
    def _checkpoint_file(self) -> Path:
        return self.folder / f'checkpoint-{len(self.rounds):04d}.pt'

    def _executed_file(self, number: int) -> Path:
        return self.folder / EXECUTED_FOLDER / f'{number:04d}.hdf5'

    def _bundle(self) -> Path:
        """Write the model as it is as a bundle, quickly and unchecked."""
        folder = self.folder / 'bundle'
        folder.mkdir(exist_ok=True)
        self.aligner.save(folder / 'model.pt')
        model = TrainedModel.load(folder / 'model.pt')
        if self._writer is None:
            self._writer = WeightWriter(model, folder, bundles.NETWORK_FILES)
        self._writer.write(model, folder)
        bundles.write_facts(folder, {'format_version': bundles.FORMAT_VERSION, **model.facts})
        return folder

    def guard(self) -> GuardResult:
        """
        Evaluate the model on the guard's episodes, and keep it in ``guarded/``.

        :raises RobotError: if it does not fit the simulation of its robot.
        """
        settings = self.aligner.settings
        path = self._bundle()
        bundle = bundles.Bundle.load(path)
        check_robot(bundle)
        seeds = range(GUARD_SEED, GUARD_SEED + settings.guard_episodes)
        watched = list(watch_episodes(path, self._planner, seeds, pool=self._pool,
                                      perturbation=self._perturbation))
        branches = [branch for one in watched for branch in one.branches.values()]
        misalignment = misalignment_of(branches, bundle)
        facts = summarize([one.result for one in watched], self.aligner.robot.name)
        result = GuardResult(self.aligner.n_steps, facts['return_mean'], facts['return_stderr'],
                             facts['falls'], misalignment.mean, misalignment.stderr)
        self.guards.append(result)
        self.n_guard_steps += (sum(one.result.steps for one in watched)
                               + sum(len(branch.executed) for branch in branches))
        self.aligner.save(self.guarded_file(result))
        return result

    def round(self, on_progress: Callable[[int], None]) -> dict[str, float]:
        """Execute plans and learn from them; return the figures of the round."""
        settings = self.aligner.settings
        planner = replace(self._planner, n_candidates=settings.n_candidates)
        perturbation = self._perturbation
        if settings.recovery_push and not self.aligner.is_settling:
            perturbation = perturbation.pushed(settings.recovery_push)
        path = self._bundle()
        episodes: list[Episode] = []
        while sum(map(len, episodes)) < settings.round_steps:
            seeds = range(self._next_seed, self._next_seed + BATCH)
            self._next_seed += BATCH
            for _, trace in run_episodes(path, planner, seeds, pool=self._pool,
                                         execution=self._execution, perturbation=perturbation):
                episodes.append(trace.episode)
                on_progress(len(trace.episode))
        return self.learn(episodes)

    def learn(self, episodes: Sequence[Episode]) -> dict[str, float]:
        """Keep episodes and learn from them; return the figures of the round."""
        write_d4rl(self._executed_file(len(self.rounds)), episodes)
        self.aligner.add(episodes)
        losses = self.aligner.learn(sum(map(len, episodes)))
        returns = [e.total_return for e in episodes]
        self.rounds.append({'n_steps': self.aligner.n_steps, 'episodes': len(episodes),
                            'return_mean': sum(returns) / len(returns),
                            'offline': self.aligner.n_offline, **losses})
        return self.rounds[-1]
