# Copyright 2026 diffusion_planner_ros developers
# SPDX-License-Identifier: Apache-2.0
"""``diffusion_planner collect``: behaviour data of a simulated robot."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal, TYPE_CHECKING

from ...robots.robot_folder import DEFAULT_ROBOT, make_known
from ..interrupted import deferred, leaving, NOTHING_KEPT, RESUME
from ..output import progress, report

if TYPE_CHECKING:
    from ...sim.behaviour.behaviour_data import RecordedData
    from ...sim.behaviour.behaviour_policy import PpoRun

N_LEARN, N_LEARN_ROBUST, N_IMPROVE, N_LEARN_SPEEDS = 2_200_000, 3_200_000, 2_600_000, 3_000_000


def collect(
    robot: str = DEFAULT_ROBOT,
    out: Path = Path('data'),
    robust: bool = False,
    teacher: Path | None = None,
    lesson: Literal['wide', 'hard'] = 'wide',
    speeds: bool = False,
    n_learn: int | None = None,
    n_transitions: int = 300_000,
    seed: int = 0,
    resume: bool = False,
    json: bool = False,
) -> None:
    """
    Learn a behaviour policy with PPO and record it, as Minari data sets (HDF5).

    ``medium`` comes from a policy a third to half as good as the expert, ``medium-replay`` is all
    that this policy saw while it learned, ``medium-expert`` is half medium, half expert, and
    ``expert`` the expert's half alone. ``poor`` is 50,000 transitions of a policy a sixth to a
    quarter as good.

    With --robust, PPO learns on robots drawn anew in every episode: mass, friction, pushes, noise
    and delay differ. ``robust`` comes from its best policy on such robots, the teacher, which is
    written beside it (teacher.npz); ``robust-replay`` is a part of all that it saw.

    With --teacher, that policy goes on learning, on robots from undisturbed to harder ones than
    before, and ``robust`` and ``robust-replay`` are recorded on these. The shipped teacher learned
    the lesson ``wide``, and then ``hard``.

    With --speeds, PPO is told a speed, which is drawn anew in every episode and changes within it,
    and is rewarded for following it and staying on its feet. ``speeds`` comes from its best
    policy, with the commanded speed of every step and rewards that do not depend on speed.

    A robot that is sent to goals (its task has a section reaching) learns no policy: a controller
    leads it from random starts to random goals, with noise and detours, which becomes ``goals``.

    Ctrl-C saves what a policy has learned and all that it saw (OUT/ROBOT-ppo.pkl, half a gigabyte
    for two million transitions of walker2d), and --resume goes on from there.

    :param robot: name of a robot, or path of its folder.
    :param out: folder of the data sets; they become OUT/ROBOT/NAME-v0.
    :param robust: learn on drawn robots, and record ``robust`` and ``robust-replay`` instead.
    :param teacher: teacher.npz of an earlier ``collect --robust``.
    :param lesson: with --teacher, the robots that it goes on to learn on: ``wide``, or ``hard``
        with lighter and heavier ones and harder pushes.
    :param speeds: learn to follow commanded speeds, and record ``speeds`` instead.
    :param n_learn: transitions that PPO learns from; 2.2 million by default, 3.2 million with
        --robust, 2.6 million with --teacher, 3 million with --speeds.
    :param n_transitions: transitions of the medium and of the expert data, of each robust data
        set, of ``speeds``, or of goals.
    :param seed: seed of learning and recording.
    :param resume: go on with the run that Ctrl-C has ended.
    :param json: print the report as JSON.
    """
    from ...errors import ConfigError, ModelError
    from ...robots.task import Task
    from ...sim.behaviour import behaviour_data as recording
    from ...sim.behaviour import behaviour_policy as behaviour
    from ...sim.behaviour.curriculum import LESSONS
    from ...sim.behaviour.gaussian_policy import GaussianPolicy
    from ...sim.behaviour.goal_data import collect_trips
    from ...sim.behaviour.speed_commands import SpeedCommands
    from ...sim.behaviour.speed_data import collect_speeds
    from ...sim.perturbation import UNPERTURBED
    from ...sim.perturbation_ranges import DRAWN

    name = make_known(robot)
    robust = robust or teacher is not None
    if Task.load(name).reaching:
        if robust or resume or n_learn is not None:
            raise ConfigError('--robust, --teacher, --n-learn and --resume are about a policy '
                              f'that learns, and {name} is sent to goals by a controller; '
                              'expected none of them')
        with progress('recording', n_transitions, unit='steps') as advance:
            trips = collect_trips(name, n_transitions=n_transitions, seed=seed,
                                  on_progress=advance)
        report(_write(out, [trips], seed=seed, n_learned=0), as_json=json)
        return
    if robust and not Task.load(name).has_falls:
        raise ConfigError(f'--robust and --teacher make a policy that stays on its feet, and '
                          f'{name} never falls: no healthy ranges of its task end an episode; '
                          'expected neither of them')
    if robust and speeds:
        raise ConfigError('--speeds is given with --robust or --teacher, expected one of them: '
                          'speeds are learned on the undisturbed robot')
    commands = SpeedCommands() if speeds else None
    start = None if teacher is None else GaussianPolicy.load(teacher)
    if n_learn is None:
        n_learn = (N_IMPROVE if start else N_LEARN_ROBUST if robust else
                   N_LEARN_SPEEDS if speeds else N_LEARN)
    robots = DRAWN if robust else UNPERTURBED
    run = behaviour.PpoRun(name, robots=robots, commands=commands, teacher=start,
                           lesson=LESSONS[lesson], n_transitions=n_learn, seed=seed)
    settings = {'robust': robust, 'teacher': teacher, 'lesson': lesson, 'speeds': speeds,
                'n_learn': n_learn, 'seed': seed}
    kept = out / f'{name}-ppo.pkl'
    if resume:
        run.restore(kept, settings)
    elif kept.exists():
        raise ModelError(f'{kept}: is a run that was interrupted; add --resume to go on with it, '
                         'or delete it')
    with (leaving(lambda: RESUME if kept.exists() else NOTHING_KEPT),
          _saving(run, kept, settings)):
        with (deferred() as check_interrupt,
              progress('learning to move', n_learn, unit='steps', done=run.n_done) as advance):
            def on_learned(n_done: int, recent_return: float) -> None:
                advance(n_done - advance.n, ret=f'{recent_return:.0f}')
                check_interrupt()
            learned = run.learn(on_learned)
        n_recorded = n_transitions if robust or speeds else (
            2 * n_transitions + min(n_transitions, recording.N_POOR_TRANSITIONS))
        with progress('recording', n_recorded, unit='steps') as advance:
            how: dict[str, Any] = {'n_transitions': n_transitions, 'seed': seed,
                                   'on_progress': advance}
            if robust:
                acting = robots if start is None else LESSONS[lesson].robots
                data_sets = recording.collect_robust(learned, acting, **how)
            elif commands is not None:
                data_sets = collect_speeds(learned, commands, **how)
            else:
                data_sets = recording.collect(learned, **how)
        facts = _write(out, data_sets, seed=seed, n_learned=n_learn)
    report(facts, as_json=json)


@contextmanager
def _saving(run: 'PpoRun', file: Path, settings: dict[str, Any]) -> Iterator[None]:
    """Save a run after Ctrl-C; once the work is done, delete what was saved of it before."""
    try:
        yield
    except KeyboardInterrupt:
        file.parent.mkdir(parents=True, exist_ok=True)
        run.save(file, settings)
        raise
    file.unlink(missing_ok=True)


def _write(out: Path, data_sets: 'Sequence[RecordedData]', *, seed: int, n_learned: int
           ) -> dict[str, dict[str, Any]]:
    """Write data sets and return what to report of each."""
    from ...sim.behaviour import behaviour_data as recording

    facts: dict[str, dict[str, Any]] = {}
    with leaving(lambda: f'{", ".join(facts) or "no data set"} is written; begin again with the '
                 'same command'):
        for data in data_sets:
            folder = recording.write_data_set(out, data, seed=seed, n_learned=n_learned)
            facts[data.name] = {'folder': str(folder), 'episodes': len(data.episodes),
                                'transitions': sum(len(e) for e in data.episodes),
                                **recording.describe(data)}
    return facts
