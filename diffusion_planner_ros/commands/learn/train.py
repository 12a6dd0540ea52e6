# Copyright 2026 diffusion_planner_ros developers
# SPDX-License-Identifier: Apache-2.0
"""``diffusion_planner train``: diffusion model, value and dynamics model from recorded data."""

from pathlib import Path
import sys
from typing import TYPE_CHECKING

import tyro

from ...learning.train_config import TrainConfig
from ...robots.robot_folder import DEFAULT_ROBOT
from ..interrupted import deferred, leaving, RESUME
from ..output import progress, report
from ..preset_option import PresetName

if TYPE_CHECKING:
    from ...episode import Episode
    from ...robot import Robot


def train(
    data: tuple[Path, ...],
    config: tyro.conf.OmitArgPrefixes[TrainConfig],
    preset: PresetName = None,
    robot: str = DEFAULT_ROBOT,
    out: Path | None = None,
    teacher: Path | None = None,
    resume: bool = False,
    skip_unrewarded: bool = False,
    json: bool = False,
) -> None:
    """
    Train on Minari or D4RL data sets; ``OUT/checkpoint.pt`` is what ``export`` takes.

    TensorBoard logs go to OUT as well. Ctrl-C saves the checkpoint, from which --resume goes on.

    :param data: folders of Minari data sets or HDF5 files in D4RL's layout; at least one.
    :param config: what is learned, and how.
    :param preset: published method, whose settings become the defaults of the options that say
        what is learned; see docs/how_to/compare.md.
    :param robot: name of a robot, path of its folder, or path of a layout's YAML file.
    :param out: folder of checkpoint and logs; runs/ROBOT by default.
    :param teacher: checkpoint of ``train`` on the same data, with the same networks: the denoiser
        learns to do in one step what that one does in many (consistency distillation).
    :param resume: go on from OUT/checkpoint.pt.
    :param skip_unrewarded: leave out recorded episodes that have no rewards.
    :param json: print the report as JSON.
    """
    from torch.utils.tensorboard import SummaryWriter

    from ...data.data_facts import data_facts
    from ...data.windows import Windows
    from ...errors import DatasetError, ModelError
    from ...learning import trainer as learning
    from ...learning.learner import CHECKPOINT_FILE
    from ...robot import Robot

    if not data:
        raise DatasetError('--data names no data set, expected at least one')
    layout = Robot.load(robot)
    out = out or Path('runs', layout.name)
    file = out / CHECKPOINT_FILE
    if file.exists() and not resume:
        raise ModelError(f'{file}: exists already; add --resume to go on from it, or choose '
                         'another --out')
    episodes = {path: _read(path, layout, skip_unrewarded) for path in data}
    everything = [e for part in episodes.values() for e in part]
    windows = Windows.cut(everything, layout, config.horizon, discount=config.discount,
                          fall_penalty=config.fall_penalty)
    facts = {**data_facts(episodes), 'n_windows': len(windows.starts)}
    trainer = learning.Trainer(config, layout, windows, teacher)
    if resume:
        trainer.resume(file)
    out.mkdir(parents=True, exist_ok=True)
    with (SummaryWriter(str(out)) as log, leaving(RESUME), deferred() as check_interrupt,
          progress('training', config.n_updates, unit='updates', done=trainer.n_updates)
          as advance):
        def on_update(n_done: int, losses: dict) -> None:
            check_interrupt()
            if n_done % 50 and n_done != config.n_updates:
                return
            figures = {name: float(loss) for name, loss in losses.items()}
            for name, loss in figures.items():
                log.add_scalar(f'loss/{name}', loss, n_done)
            advance(n_done - advance.n, **{k: f'{v:.4f}' for k, v in figures.items()})
        learning.train(trainer, out, facts, on_update=on_update)
    report({'checkpoint': str(file), 'n_updates': trainer.n_updates, **facts}, as_json=json)


def _read(path: Path, robot: 'Robot', skip_unrewarded: bool) -> 'list[Episode]':
    from ...data.formats import read_episodes
    from ...errors import DatasetError

    episodes = read_episodes(path, robot, needs_rewards=not skip_unrewarded)
    rewarded = [e for e in episodes if e.has_rewards]
    if not rewarded:
        raise DatasetError(f'{path}: none of {len(episodes)} episodes has rewards, expected at '
                           'least one that has')
    if len(rewarded) < len(episodes):
        print(f'{path}: {len(episodes) - len(rewarded)} of {len(episodes)} episodes have no '
              'rewards and are left out', file=sys.stderr)
    return rewarded
