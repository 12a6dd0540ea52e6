# Copyright 2026 diffusion_planner_ros developers
# SPDX-License-Identifier: Apache-2.0
"""An alignment in simulators from its beginning, or where it stopped, to the exported model."""

from collections.abc import Sequence
from dataclasses import asdict
from itertools import chain
from typing import Any

from ...episode import Episode
from ...learning.onnx_export import TrainedModel
from .. import bundle_export
from ..progress import Progress, silent
from .alignment_run import ALIGNED_FOLDER, AlignmentRun


def align_online(run: AlignmentRun, offline: Sequence[Episode], *, title: str = 'aligning',
                 progress: Progress = silent) -> dict[str, Any]:
    """
    Plan, execute and learn to the end; export the best model unless that is done.

    :param run: new, or resumed.
    :param offline: episodes to calibrate the bundle with, besides those that were executed.
    :param title: of the progress.
    :param progress: is told of every round.
    :return: what to report.
    """
    if not run.is_finished:
        _execute_and_learn(run, title, progress)
    exported = _export_best(run, offline)
    return {'steps': run.aligner.n_steps, 'guard_steps': run.n_guard_steps,
            'updates': run.aligner.n_updates, 'minutes': run.minutes,
            'before': asdict(run.guards[0]), 'best': asdict(run.best),
            'last': asdict(run.guards[-1]), **exported}


def _export_best(run: AlignmentRun, offline: Sequence[Episode]) -> dict[str, Any]:
    best, bundle = run.best, run.folder / ALIGNED_FOLDER
    if best is run.guards[0]:
        return {'bundle': 'nothing exported: no model was better than the one before'}
    if run.exported == best.n_steps and bundle.is_dir():
        return {'bundle': str(bundle)}
    file = run.guarded_file(best)
    facts = bundle_export.export_model(
        TrainedModel.load(file), bundle, [*offline, *chain.from_iterable(run.executed())],
        source=file)
    run.exported = best.n_steps
    run.save()
    return facts


def _execute_and_learn(run: AlignmentRun, title: str, progress: Progress) -> None:
    from torch.utils.tensorboard import SummaryWriter  # only here: who reads needs it not

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
