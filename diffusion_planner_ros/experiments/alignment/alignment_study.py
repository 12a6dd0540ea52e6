# Copyright 2026 diffusion_planner_ros developers
# SPDX-License-Identifier: Apache-2.0
"""A study of alignments: several ways, several seeds, evaluated before and after."""

from collections.abc import Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, replace
import hashlib
import json
from pathlib import Path
from typing import Any

from ...episode import Episode
from ...errors import ConfigError
from ...files import written
from ...learning.alignment import Aligner
from ...learning.onnx_export import TrainedModel
from ...planning.bundle import Bundle, FACTS_FILE
from ...planning.planner_config import PlannerConfig
from ...settings import as_facts
from ...sim.perturbation_ranges import Robots
from .. import bundle_export
from ..closed_loop import summarize
from ..misalignment import misalignment_of, watch_episodes
from ..progress import Progress, silent
from .alignment_run import ALIGNED_FOLDER, AlignmentRun, PROGRESS_FILE
from .alignment_variants import scaled, Variant, variants
from .online_alignment import align_online

STUDY_FILE = 'study.json'
EVALUATION_FILE = 'evaluation.json'
DENOISED_FILE = 'evaluation_denoised.json'  # whatever states the variant plans with
UNRANKED_FILE = 'evaluation_unranked.json'  # of the model before, with one candidate
BEFORE_FOLDER = 'before'


def study_settings(names: Sequence[str], seeds: Sequence[int], n_steps: int | None, horizon: int
                   ) -> dict[str, list[Variant]]:
    """
    Return the settings of every run, by variant.

    :param n_steps: of every alignment; that of the variant by default.
    :param horizon: of the model.
    :raises ConfigError: for a variant that there is not, or what is named twice.
    """
    known = variants(horizon)
    for option, values in (('variants', names), ('seeds', seeds)):
        if not values or len(set(values)) < len(values):
            raise ConfigError(f'{option} are {", ".join(map(str, values)) or "none"}, expected '
                              'at least one and none twice')
    for name in names:
        if name not in known:
            raise ConfigError(f"no variant is called '{name}', expected one of "
                              f'{", ".join(known)}')
    chosen = {name: (known[name].align if n_steps is None else scaled(known[name].align, n_steps))
              for name in names}
    return {name: [replace(known[name], align=replace(config, seed=seed)) for seed in seeds]
            for name, config in chosen.items()}


def label(variant: str) -> str:
    """Return the name of a variant as a table or a picture has it."""
    return variant.replace('-', ' ')


class Study:
    """
    A study in a folder, where what is done already is only read.

    Every alignment is in ``VARIANT-SEED``, the model before in ``before``.

    :param checkpoint: of the model to align.
    :param offline: episodes that it was trained on.
    :param folder: of the study; made if it is not there.
    :param planner: how the model before plans; each variant says what it changes.
    :param perturbation: what is different about the robot.
    :param seeds: of the episodes of an evaluation.
    :param pool: worker processes.
    :param progress: is told of every alignment and evaluation.
    :raises ConfigError: if the folder holds a study of another model or of other data.
    """

    def __init__(self, checkpoint: Path, offline: Sequence[Episode], folder: Path, *,
                 planner: PlannerConfig, perturbation: Robots, seeds: Sequence[int],
                 pool: ProcessPoolExecutor, progress: Progress = silent) -> None:
        self._checkpoint = checkpoint
        self._offline = list(offline)
        self._folder = folder
        self._planner = planner
        self._perturbation = perturbation
        self._seeds = seeds
        self._pool = pool
        self._progress = progress
        self._known: dict[tuple[str, PlannerConfig], Mapping[str, Any]] = {}
        folder.mkdir(parents=True, exist_ok=True)
        self._claim()

    def before(self, variant: Variant) -> Mapping[str, Any]:
        """
        Evaluate the model before, exported uncalibrated: no monitor watches here.

        :param variant: that it is compared with; without a ranking there is none here, either.
        """
        folder = self._folder / BEFORE_FOLDER
        if not (folder / FACTS_FILE).is_file():
            bundle_export.export_model(TrainedModel.load(self._checkpoint), folder, (),
                                       source=self._checkpoint)
        file = EVALUATION_FILE if variant.is_ranked else UNRANKED_FILE
        return self._evaluate(Bundle.load(folder), variant.before(self._planner), folder / file)

    def run(self, name: str, variant: Variant) -> dict[str, Any]:
        """
        Align once, go on, or only read what is done; evaluate what came of it.

        :param name: of the variant.
        :return: its bundle, numbers of steps and updates, both evaluations, results of the guard.
        """
        config = variant.align
        folder = self._folder / f'{name}-{config.seed}'
        planner = variant.after(self._planner)
        run = AlignmentRun(Aligner(self._checkpoint, config, self._offline), folder,
                           planner=planner, perturbation=self._perturbation, pool=self._pool)
        if (folder / PROGRESS_FILE).is_file():
            run.resume()
        facts = align_online(run, self._offline, title=f'{label(name)}, seed {config.seed}',
                             progress=self._progress)
        # Without a better model the one before is what there is.
        bundle = (self._folder / BEFORE_FOLDER if run.best is run.guards[0]
                  else folder / ALIGNED_FOLDER)
        loaded = Bundle.load(bundle)
        denoised = replace(planner, states='denoised')
        return {'bundle': str(bundle), 'environment_steps': facts['steps'] + facts['guard_steps'],
                'updates': facts['updates'], 'minutes': facts['minutes'],
                'evaluation': self._evaluate(loaded, planner, folder / EVALUATION_FILE),
                'evaluation_denoised': self._evaluate(loaded, denoised, folder / DENOISED_FILE),
                'guards': [asdict(guard) for guard in run.guards]}

    def _claim(self) -> None:
        """Record what the study is of, or check that it is of the same."""
        digest = hashlib.sha256()
        for episode in self._offline:
            for array in (episode.observations, episode.actions, episode.rewards):
                digest.update(array.tobytes())
        facts = {'checkpoint_sha256': hashlib.sha256(self._checkpoint.read_bytes()).hexdigest(),
                 'data_sha256': digest.hexdigest()}
        file = self._folder / STUDY_FILE
        if not file.is_file():
            with written(file) as scratch:
                scratch.write_text(json.dumps(facts, indent=1))
        elif json.loads(file.read_text()) != facts:
            raise ConfigError(f'{file}: is of another model or of other data than '
                              f'{self._checkpoint} and --data; name those that it was begun with, '
                              'or another --out')

    def _evaluate(self, bundle: Bundle, planner: PlannerConfig, file: Path) -> Mapping[str, Any]:
        """Return what is in the file if it is of this bundle and these settings, or write it."""
        asked = {'hash': bundle.hash, 'seeds': list(self._seeds),
                 'planner': as_facts(planner), 'perturbation': as_facts(self._perturbation)}
        key = bundle.hash, planner
        if file.is_file():
            facts = json.loads(file.read_text())
            if all(facts.get(name) == value for name, value in asked.items()):
                return self._known.setdefault(key, facts)
        if key not in self._known:
            self._known[key] = asked | self._measure(bundle, planner, str(file.parent))
        with written(file) as scratch:
            scratch.write_text(json.dumps(self._known[key], indent=1))
        return self._known[key]

    def _measure(self, bundle: Bundle, planner: PlannerConfig, title: str) -> dict[str, Any]:
        watched = []
        with self._progress(f'evaluating {title}', len(self._seeds), unit='episodes') as advance:
            for one in watch_episodes(bundle.path, planner, self._seeds, pool=self._pool,
                                      perturbation=self._perturbation):
                watched.append(one)
                advance(1, ret=f'{one.result.episode_return:.0f}')
        found = misalignment_of((b for one in watched for b in one.branches.values()), bundle)
        return summarize([one.result for one in watched], bundle.robot.name) | {
            'misalignment': {'mean': found.mean, 'stderr': found.stderr}}
