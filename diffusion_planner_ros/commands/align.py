"""``diffusion_planner align``: a model learns from what its executed plans really did."""

from dataclasses import asdict
import os
from pathlib import Path
import time

import tyro

from ..learning.align_config import AlignConfig
from ..planning.config import PlannerConfig
from ..sim.change import Change
from .output import progress, report


def align(
    config: tyro.conf.OmitArgPrefixes[AlignConfig],
    planner: PlannerConfig,
    change: Change,
    checkpoint: Path = Path('runs/walker2d/checkpoint.pt'),
    data: tuple[Path, ...] | None = None,
    out: Path = Path('runs/aligned'),
    resume: bool = False,
    processes: int | None = None,
    json: bool = False,
) -> None:
    """
    Align a model with Walker2D, or with logs of another robot (Hu 2024, Algorithm 2).

    Plans are executed in simulators, as many at a time as there are PROCESSES, and the model
    learns from the true trajectories and their true values. A guard evaluates it on the same
    episodes again and again. The best model is exported to OUT/aligned, unless that is the one
    that the alignment began with. As Hu writes the algorithm: ``--n-execute 8 --offline-share 0
    --recent-steps 0 --weighting none``, 8 being the horizon.

    :param config: how the model learns.
    :param planner: how the guard plans; executed plans have N_CANDIDATES candidates.
    :param change: what is different about the robot.
    :param checkpoint: of ``train``, or another alignment's OUT/best.pt.
    :param data: data sets that the model was trained on.
    :param out: folder of everything that comes of it, TensorBoard logs among it.
    :param resume: go on from OUT.
    :param processes: simulators at a time; all cores by default.
    :param json: print the report as JSON.
    """
    from torch.utils.tensorboard import SummaryWriter

    from ..errors import ModelError
    from ..learning.alignment import Aligner
    from ..learning.dataset import read_episodes
    from ..learning.export import TrainedModel
    from ..sim.evaluate import open_pool
    from . import alignment_run
    from .export import export_model

    if (out / alignment_run.PROGRESS_FILE).exists() and not resume:
        raise ModelError(f'{out}: holds an alignment already; add --resume to go on from it, or '
                         'choose another --out')
    robot = TrainedModel.load(checkpoint).robot
    offline = [e for path in data or () for e in read_episodes(path, robot)]
    aligner = Aligner(checkpoint, config, offline)
    started = time.monotonic()
    with (open_pool(processes or os.cpu_count() or 1) as pool, SummaryWriter(str(out)) as log,
          progress('aligning', config.n_steps, unit='steps') as advance):
        run = alignment_run.AlignmentRun(aligner, out, planner=planner, change=change, pool=pool)
        if resume:
            run.resume()
            advance(aligner.n_steps)
        while True:
            is_over = aligner.n_steps >= config.n_steps
            if len(run.rounds) % config.guard_every == 0 or is_over:
                guard = run.guard()
                for name, value in asdict(guard).items():
                    log.add_scalar(f'guard/{name}', value or 0.0, aligner.n_steps)
                run.save()
            if is_over:
                break
            figures = run.round(advance)
            run.save()
            for name, value in figures.items():
                log.add_scalar(f'round/{name}', value, aligner.n_steps)
            advance(0, ret=f'{figures["return_mean"]:.0f}', guard=f'{guard.return_mean:.0f}',
                    misaligned=f'{guard.misalignment:.3f}')
    first, best = run.guards[0], run.best
    facts = {'steps': aligner.n_steps, 'guard_steps': run.n_guard_steps,
             'updates': aligner.n_updates, 'minutes': (time.monotonic() - started) / 60,
             'before': asdict(first), 'best': asdict(best), 'last': asdict(run.guards[-1])}
    if best is first:
        facts['exported'] = 'nothing: no model was better than the one before'
    else:
        file = out / alignment_run.BEST_FILE
        executed = [e for number in range(len(run.rounds)) for e in read_episodes(
            run.executed_file(number), robot)]
        facts |= export_model(TrainedModel.load(file), out / 'aligned', [*offline, *executed],
                              source=file)
    report(facts, as_json=json)
