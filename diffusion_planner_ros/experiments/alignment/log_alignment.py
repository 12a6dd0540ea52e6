# Copyright 2026 diffusion_planner_ros developers
# SPDX-License-Identifier: Apache-2.0
"""An alignment from logs of any robot: nothing is simulated."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ...data.executed_plans import read_log
from ...episode import Episode
from ...errors import DatasetError
from ...learning.alignment import Aligner
from ...learning.onnx_export import TrainedModel
from .. import bundle_export
from ..progress import Progress, silent
from .alignment_run import ALIGNED_FOLDER

FROM_LOG_FILE = 'aligned.pt'
HELD_OUT = 5  # one episode of so many in a log is not learned from


def align_from_logs(aligner: Aligner, logs: Sequence[Path], offline: Sequence[Episode],
                    out: Path, *, progress: Progress = silent) -> dict[str, Any]:
    """
    Learn from recorded plans; export the model if it fits held-out episodes better.

    What a plan of the new model would have come to cannot be tried with a log.

    :param logs: files that the node ``recorder`` wrote.
    :param offline: episodes to calibrate the bundle with, besides those that were learned from.
    :param out: folder of the checkpoint and the bundle.
    :param progress: is told of every update.
    :return: what to report.
    :raises DatasetError: if fewer than two episodes are as long as the horizon.
    """
    logged = [episode for file in logs for episode in read_log(file, aligner.robot)]
    horizon = aligner.config.horizon
    episodes = [episode for episode in logged if len(episode) >= horizon]
    if len(episodes) < 2:
        raise DatasetError(f'{", ".join(map(str, logs))}: {len(episodes)} episodes of at least '
                           f'{horizon} steps, expected 2 or more: the last ones are kept to test '
                           'the model; record more')
    n_held_out = max(1, len(episodes) // HELD_OUT)
    learned, held_out = episodes[:-n_held_out], episodes[-n_held_out:]
    before = aligner.losses_on(held_out)
    aligner.add(learned)
    n_updates = aligner.n_updates_for(aligner.n_steps)
    with progress('learning', n_updates, unit='updates') as advance:
        aligner.learn(aligner.n_steps, on_update=lambda losses: advance(
            1, **{name: f'{float(loss):.4f}' for name, loss in losses.items()}))
    after = aligner.losses_on(held_out)
    out.mkdir(parents=True, exist_ok=True)
    file = out / FROM_LOG_FILE
    aligner.save(file)
    # Of a plan only the first action is sure to have been executed: the next one may have come.
    errors = np.concatenate([
        aligner.state_errors(episode.plans[:, 1], episode.observations[1:])
        for episode in logged if episode.plans is not None])
    errors = errors[np.isfinite(errors)]
    facts = {'episodes': len(learned), 'held_out': n_held_out, 'steps': aligner.n_steps,
             'updates': aligner.n_updates,
             'losses_on_held_out': {'before': before, 'after': after},
             'first_step_of_executed_plans': (float(np.median(errors)) if len(errors)
                                              else 'the log has no plans')}
    if after['denoising'] >= before['denoising']:
        return facts | {'bundle': 'nothing exported: the model fits held-out episodes no better'}
    return facts | bundle_export.export_model(
        TrainedModel.load(file), out / ALIGNED_FOLDER, [*offline, *learned], source=file)
