"""``diffusion_planner study``: variants of the alignment, side by side."""

from collections.abc import Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, replace
import hashlib
import json as json_format
import os
from pathlib import Path
from typing import Any, TYPE_CHECKING

from ...files import written
from ...planning.planner_config import PlannerConfig
from ...settings import as_facts
from ...sim.perturbation import Perturbation
from ..output import print_text, progress, report

if TYPE_CHECKING:
    from ...episode import Episode
    from ...experiments.alignment.alignment_variants import Variant
    from ...planning.bundle import Bundle

STUDY_FILE = 'study.json'
PICTURE_FILE = 'study.png'
EVALUATION_FILE = 'evaluation.json'
DENOISED_FILE = 'evaluation_denoised.json'  # whatever states the variant plans with


def study(
    planner: PlannerConfig,
    perturbation: Perturbation,
    checkpoint: Path = Path('runs/poor/checkpoint.pt'),
    data: tuple[Path, ...] = (Path('data/walker2d/poor-v0'),),
    variants: tuple[str, ...] = ('improved', 'plain'),
    seeds: tuple[int, ...] = (0, 1, 2),
    n_steps: int | None = None,
    episodes: int = 20,
    out: Path = Path('runs/study'),
    processes: int | None = None,
    json: bool = False,
) -> None:
    """
    Align a model in several ways, with several seeds, and evaluate it before and after.

    Prints a table in Markdown and draws OUT/study.png. Every alignment is in OUT/VARIANT-SEED;
    what is there already is gone on from, or only read if it is done. Episodes of the evaluation
    are none of those that models were chosen by.

    :param planner: how to plan; STATES only before, for each variant says how it is afterwards.
    :param perturbation: what is different about the robot.
    :param checkpoint: of ``train``.
    :param data: data sets that the model was trained on.
    :param variants: ``improved`` is what ``align`` does, ``plain`` is Algorithm 2 as Hu (2024)
        writes it; ``denoised-states``, ``no-offline-data``, ``no-exploration``, ``no-weighting``,
        ``no-settling``, ``all-steps``, ``value-first``, ``recovery`` and ``one-action`` each
        differ from ``improved`` in one.
    :param seeds: of the alignments.
    :param n_steps: steps of the robot in each alignment, all its other numbers of steps in
        proportion; as many as in ``align`` by default.
    :param episodes: episodes of an evaluation; their seeds count up from 0.
    :param out: folder of everything that comes of it.
    :param processes: simulators at a time; all cores by default.
    :param json: print the report as JSON.
    """
    from ...data.formats import read_episodes
    from ...errors import ConfigError
    from ...experiments.alignment.study_table import compare, table
    from ...experiments.closed_loop import open_pool
    from ...learning.onnx_export import TrainedModel

    if episodes < 2:
        raise ConfigError(f'episodes is {episodes}, expected at least 2')
    if out.exists() and not out.is_dir():
        raise ConfigError(f'{out}: is a file, expected a folder or a new name')
    model = TrainedModel.load(checkpoint)
    settings = _settings(variants, seeds, n_steps, model.config.horizon)
    offline = [e for path in data for e in read_episodes(path, model.robot)]
    out.mkdir(parents=True, exist_ok=True)
    _claim(out / STUDY_FILE, checkpoint, offline)
    with open_pool(processes or os.cpu_count() or 1) as pool:
        evaluator = _Evaluator(planner, perturbation, range(episodes), pool)
        before = evaluator.evaluate(_export_once(model, checkpoint, out / 'before'), planner,
                                    out / 'before' / EVALUATION_FILE)
        runs = {name: {str(v.align.seed): _run(name, v, checkpoint, offline, out, evaluator)
                       for v in of_seeds} for name, of_seeds in settings.items()}
    compared = {name: compare(before, list(of_seeds.values())) for name, of_seeds in runs.items()}
    # Only now: who asks for help or errs needs no matplotlib.
    from ...experiments.plots.study_plot import draw_study

    with written(out / PICTURE_FILE) as scratch:
        plural = 's' if len(seeds) > 1 else ''
        draw_study({_label(name): [run['guards'] for run in of_seeds.values()]
                    for name, of_seeds in runs.items()},
                   f'Alignment of {checkpoint}: mean and standard error over {len(seeds)} '
                   f'seed{plural}', scratch)
    if json:
        report({'picture': str(out / PICTURE_FILE), 'checkpoint': str(checkpoint),
                'planner': as_facts(planner), 'perturbation': asdict(perturbation),
                'before': before,
                'variants': {name: facts | {'settings': asdict(settings[name][0].align),
                                            'runs': runs[name]}
                             for name, facts in compared.items()}}, as_json=True)
    else:
        print_text(table(before, {_label(name): facts for name, facts in compared.items()}))


def _label(variant: str) -> str:
    return variant.replace('-', ' ')


def _settings(names: Sequence[str], seeds: Sequence[int], n_steps: int | None, horizon: int
              ) -> 'dict[str, list[Variant]]':
    """
    Return the settings of every run, by variant.

    :raises ConfigError: for a variant that there is not, or what is named twice.
    """
    from ...errors import ConfigError
    from ...experiments.alignment.alignment_variants import scaled, variants

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


def _claim(file: Path, checkpoint: Path, offline: 'Sequence[Episode]') -> None:
    """
    Record what a study is of, or check that it is of the same.

    :raises ConfigError: if it is of another model or of other data.
    """
    from ...errors import ConfigError

    digest = hashlib.sha256()
    for episode in offline:
        for array in (episode.observations, episode.actions, episode.rewards):
            digest.update(array.tobytes())
    facts = {'checkpoint_sha256': hashlib.sha256(checkpoint.read_bytes()).hexdigest(),
             'data_sha256': digest.hexdigest()}
    if file.is_file():
        if json_format.loads(file.read_text()) != facts:
            raise ConfigError(f'{file}: is of another model or of other data than {checkpoint} '
                              'and --data; name those that it was begun with, or another --out')
        return
    with written(file) as scratch:
        scratch.write_text(json_format.dumps(facts, indent=1))


def _export_once(model: Any, checkpoint: Path, out: Path) -> 'Bundle':
    """Export the model before, uncalibrated: no monitor watches here."""
    from ...experiments.bundle_export import export_model
    from ...planning import bundle as bundles

    if not (out / bundles.FACTS_FILE).is_file():
        export_model(model, out, (), source=checkpoint)
    return bundles.Bundle.load(out)


def _run(name: str, variant: 'Variant', checkpoint: Path, offline: 'list[Episode]', out: Path,
         evaluator: '_Evaluator') -> dict[str, Any]:
    """Align once, go on or only read what is done; evaluate what came of it."""
    from ...experiments.alignment.alignment_run import ALIGNED_FOLDER, AlignmentRun, PROGRESS_FILE
    from ...learning.alignment import Aligner
    from ...planning.bundle import Bundle
    from .align import align_online

    config = variant.align
    folder = out / f'{name}-{config.seed}'
    planner = replace(evaluator.planner, states=variant.states)
    run = AlignmentRun(Aligner(checkpoint, config, offline), folder, planner=planner,
                       perturbation=evaluator.perturbation, pool=evaluator.pool)
    if (folder / PROGRESS_FILE).is_file():
        run.resume()
    facts = align_online(run, offline, f'{_label(name)}, seed {config.seed}')
    # Without a better model the one before is what there is.
    bundle = out / 'before' if run.best is run.guards[0] else folder / ALIGNED_FOLDER
    loaded = Bundle.load(bundle)
    denoised = replace(planner, states='denoised')
    return {'bundle': str(bundle), 'environment_steps': facts['steps'] + facts['guard_steps'],
            'updates': facts['updates'], 'minutes': facts['minutes'],
            'evaluation': evaluator.evaluate(loaded, planner, folder / EVALUATION_FILE),
            'evaluation_denoised': evaluator.evaluate(loaded, denoised, folder / DENOISED_FILE),
            'guards': [asdict(guard) for guard in run.guards]}


class _Evaluator:
    """
    Evaluates bundles, each only once.

    :param seeds: of the episodes.
    :param pool: worker processes.
    """

    def __init__(self, planner: PlannerConfig, perturbation: Perturbation, seeds: Sequence[int],
                 pool: ProcessPoolExecutor) -> None:
        self.planner = planner
        self.perturbation = perturbation
        self.pool = pool
        self._seeds = seeds
        self._known: dict[tuple[str, PlannerConfig], Mapping[str, Any]] = {}

    def evaluate(self, bundle: 'Bundle', planner: PlannerConfig, file: Path) -> Mapping[str, Any]:
        """Return what is in the file if it is of this bundle and these settings, or write it."""
        asked = {'hash': bundle.hash, 'seeds': list(self._seeds),
                 'planner': as_facts(planner), 'perturbation': asdict(self.perturbation)}
        key = bundle.hash, planner
        if file.is_file():
            facts = json_format.loads(file.read_text())
            if all(facts.get(name) == value for name, value in asked.items()):
                return self._known.setdefault(key, facts)
        if key not in self._known:
            self._known[key] = asked | self._measure(bundle, planner, str(file.parent))
        with written(file) as scratch:
            scratch.write_text(json_format.dumps(self._known[key], indent=1))
        return self._known[key]

    def _measure(self, bundle: 'Bundle', planner: PlannerConfig, title: str
                 ) -> dict[str, Any]:
        from ...experiments.closed_loop import summarize
        from ...experiments.misalignment import misalignment_of, watch_episodes

        watched = []
        with progress(f'evaluating {title}', len(self._seeds), unit='episodes') as advance:
            for one in watch_episodes(bundle.path, planner, self._seeds, pool=self.pool,
                                      perturbation=self.perturbation):
                watched.append(one)
                advance(1, ret=f'{one.result.episode_return:.0f}')
        found = misalignment_of((b for one in watched for b in one.branches.values()), bundle)
        return summarize([one.result for one in watched], bundle.robot.name) | {
            'misalignment': {'mean': found.mean, 'stderr': found.stderr}}
