"""``diffusion_planner align``: a model learns from what its executed plans really did."""

from dataclasses import asdict
from itertools import chain
import os
from pathlib import Path
from typing import Any, TYPE_CHECKING

import tyro

from ...learning.align_config import AlignConfig
from ...planning.planner_config import PlannerConfig
from ...sim.perturbation import Perturbation
from ..output import progress, report

if TYPE_CHECKING:
    from ...episode import Episode
    from ...experiments.alignment.alignment_run import AlignmentRun
    from ...learning.alignment import Aligner

FROM_LOG_FILE = 'aligned.pt'
HELD_OUT = 5  # one episode of so many in a log is not learned from


def align(
    config: tyro.conf.OmitArgPrefixes[AlignConfig],
    planner: PlannerConfig,
    perturbation: Perturbation,
    checkpoint: Path = Path('runs/walker2d/checkpoint.pt'),
    data: tuple[Path, ...] | None = None,
    out: Path = Path('runs/aligned'),
    from_log: tuple[Path, ...] | None = None,
    resume: bool = False,
    processes: int | None = None,
    json: bool = False,
) -> None:
    """
    Align a model with Walker2D, or with logs of any robot (Hu 2024, Algorithm 2).

    Plans are executed in simulators, as many at a time as there are PROCESSES, and the model
    learns from the true trajectories and their true values. A guard evaluates it on the same
    episodes again and again. The best model is exported to OUT/aligned, unless that is the one
    that the alignment began with. As Hu writes the algorithm: ``--n-execute 8 --exploration 0
    --offline-share 0 --recent-steps 0 --weighting none --settle-steps 0``, 8 being the horizon.

    :param config: how the model learns.
    :param planner: how the guard plans; executed plans have N_CANDIDATES candidates.
    :param perturbation: what is different about the robot.
    :param checkpoint: of ``train``, or a model in another alignment's OUT/guarded.
    :param data: data sets that the model was trained on.
    :param out: folder of everything that comes of it, TensorBoard logs among it.
    :param from_log: logs that the node ``recorder`` wrote; nothing is simulated then.
    :param resume: go on from OUT.
    :param processes: simulators at a time; all cores by default.
    :param json: print the report as JSON.
    """
    from ...data.formats import read_episodes
    from ...errors import ConfigError, ModelError
    from ...experiments.alignment.alignment_run import AlignmentRun, PROGRESS_FILE
    from ...experiments.closed_loop import open_pool
    from ...learning.alignment import Aligner
    from ...learning.onnx_export import TrainedModel

    if from_log and resume:
        raise ConfigError('--resume is for an alignment in simulators, expected it without '
                          '--from-log; to learn from another log, name OUT/aligned.pt as '
                          '--checkpoint')
    if not resume and any((out / name).exists() for name in (PROGRESS_FILE, FROM_LOG_FILE)):
        raise ModelError(f'{out}: holds an alignment already; choose another --out, or add '
                         '--resume to go on with one in simulators')
    robot = TrainedModel.load(checkpoint).robot
    offline = [e for path in data or () for e in read_episodes(path, robot)]
    aligner = Aligner(checkpoint, config, offline)
    if from_log:
        facts = _align_from_logs(aligner, from_log, offline, out)
    else:
        with open_pool(processes or os.cpu_count() or 1) as pool:
            run = AlignmentRun(aligner, out, planner=planner, perturbation=perturbation, pool=pool)
            if resume:
                run.resume()
            facts = align_online(run, offline)
    report(facts, as_json=json)


def align_online(run: 'AlignmentRun', offline: 'list[Episode]', title: str = 'aligning'
                 ) -> dict[str, Any]:
    """
    Plan, execute and learn to the end; export the best model unless that is done.

    :param offline: episodes to calibrate the bundle with, besides those that were executed.
    :param title: of the progress bar.
    :return: what to report.
    """
    if not run.is_finished:
        _execute_and_learn(run, title)
    exported = _export_best(run, offline)
    return {'steps': run.aligner.n_steps, 'guard_steps': run.n_guard_steps,
            'updates': run.aligner.n_updates, 'minutes': run.minutes,
            'before': asdict(run.guards[0]), 'best': asdict(run.best),
            'last': asdict(run.guards[-1]), **exported}


def _export_best(run: 'AlignmentRun', offline: 'list[Episode]') -> dict[str, Any]:
    from ...experiments.alignment.alignment_run import ALIGNED_FOLDER
    from ...experiments.bundle_export import export_model
    from ...learning.onnx_export import TrainedModel

    best, bundle = run.best, run.folder / ALIGNED_FOLDER
    if best is run.guards[0]:
        return {'bundle': 'nothing exported: no model was better than the one before'}
    if run.exported == best.n_steps and bundle.is_dir():
        return {'bundle': str(bundle)}
    file = run.guarded_file(best)
    facts = export_model(TrainedModel.load(file), bundle,
                         [*offline, *chain.from_iterable(run.executed())], source=file)
    run.exported = best.n_steps
    run.save()
    return facts


def _execute_and_learn(run: 'AlignmentRun', title: str) -> None:
    from torch.utils.tensorboard import SummaryWriter

    aligner = run.aligner
    with (SummaryWriter(str(run.folder)) as log,
          progress(title, aligner.settings.n_steps, unit='steps',
                   done=aligner.n_steps) as advance):
        while True:
            if run.is_guard_due:
                guard = run.guard()
                run.save()
                for name, value in asdict(guard).items():
                    log.add_scalar(f'guard/{name}', value or 0.0, aligner.n_steps)
            if run.is_over:
                break
            figures = run.round(advance)
            run.save()
            for name, value in figures.items():
                log.add_scalar(f'round/{name}', value, aligner.n_steps)
            last = run.guards[-1]
            advance(0, ret=f'{figures["return_mean"]:.0f}', guard=f'{last.return_mean:.0f}',
                    misaligned=f'{last.misalignment:.3f}')


def _align_from_logs(aligner: 'Aligner', logs: tuple[Path, ...], offline: 'list[Episode]',
                     out: Path) -> dict[str, Any]:
    """
    Learn from recorded plans; export the model if it fits held-out episodes better.

    What a plan of the new model would have come to cannot be tried with a log.
    """
    import numpy as np

    from ...data.executed_plans import read_log
    from ...errors import DatasetError
    from ...experiments.bundle_export import export_model
    from ...learning.onnx_export import TrainedModel

    logged = [episode for file in logs for episode in read_log(file, aligner.robot)]
    horizon = aligner.config.horizon
    episodes = [episode for episode in logged if len(episode) >= horizon]
    if len(episodes) < 2:
        raise DatasetError(f'{", ".join(map(str, logs))}: {len(episodes)} episodes of at least '
                           f'{horizon} steps, expected 2 or more: the last ones are held out')
    n_held_out = max(1, len(episodes) // HELD_OUT)
    learned, held_out = episodes[:-n_held_out], episodes[-n_held_out:]
    before = aligner.losses_on(held_out)
    aligner.add(learned)
    aligner.learn(aligner.n_steps)
    after = aligner.losses_on(held_out)
    out.mkdir(parents=True, exist_ok=True)
    file = out / FROM_LOG_FILE
    aligner.save(file)
    # Of a plan only the first action is sure to have been executed: the next one may have come.
    errors = np.concatenate([
        aligner.state_errors(episode.plans[:, 1], episode.observations[1:])
        for episode in logged])
    errors = errors[np.isfinite(errors)]
    facts = {'episodes': len(learned), 'held_out': n_held_out, 'steps': aligner.n_steps,
             'updates': aligner.n_updates,
             'losses_on_held_out': {'before': before, 'after': after},
             'first_step_of_executed_plans': (float(np.median(errors)) if len(errors)
                                              else 'the log has no plans')}
    if after['denoising'] >= before['denoising']:
        return facts | {'bundle': 'nothing exported: the model fits held-out episodes no better'}
    return facts | export_model(TrainedModel.load(file), out / 'aligned', [*offline, *learned],
                                source=file)
