"""``diffusion_planner diagnose``: whether a model's actions give the states that it plans."""

from collections.abc import Sequence
from dataclasses import asdict
from itertools import pairwise
import os
from pathlib import Path
import sys
from typing import Any, TYPE_CHECKING

from ...files import written
from ...planning.planner_config import PlannerConfig
from ...sim.perturbation import Perturbation, UNPERTURBED
from ..output import progress, report

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from ...episode import Episode
    from ...experiments.misalignment import Branch, Misalignment, WatchedEpisode
    from ...planning.bundle import Bundle
    from ...planning.planner import Planner

N_RECORDED_PLANS = 200
FALLS_WITHIN = 0.5  # [s]
VIDEO_SECONDS = 4.0  # [s] of motion
SLOW_MOTION = 2.0


def diagnose(
    planner: PlannerConfig,
    perturbation: Perturbation,
    bundle: Path | None = None,
    data: tuple[Path, ...] | None = None,
    episodes: int = 10,
    first_seed: int = 0,
    processes: int | None = None,
    out: Path = Path('diagnosis'),
    video: bool = True,
    json: bool = False,
) -> None:
    """
    Measure and show how far planned states are from those that the planned actions give.

    Every 50th plan of closed-loop episodes of Walker2D is executed open loop on the side. Writes
    OUT/misalignment.png, OUT/series.png (one plan), OUT/ood.png (distance from the data and from
    predictions, and falls) and, where OpenGL is there, OUT/imagination.mp4; with --data also
    OUT/series_recorded.png.

    :param planner: how to plan.
    :param perturbation: what is different about the robot.
    :param bundle: folder of the model bundle; the shipped one by default.
    :param data: data sets of the training: plans from their states, too, and distances to them.
    :param episodes: number of episodes; their seeds count up from FIRST_SEED.
    :param first_seed: seed of the first episode's initial state, and of what is drawn from data.
    :param processes: episodes at a time; all cores by default.
    :param out: folder of pictures and video.
    :param video: render the plans' states, imposed on the robot, beside their execution.
    :param json: print the report as JSON.
    """
    from dataclasses import replace

    import numpy as np

    from ...errors import ConfigError
    from ...experiments import closed_loop as evaluation
    from ...experiments import misalignment as measure
    from ...experiments import recorded_windows
    from ...experiments.plots.diagnosis_plots import draw_misalignment, draw_series, entry_name
    from ...planning.bundle import Bundle
    from ...planning.planner import Planner
    from ...share import share_file

    if episodes < 1:
        raise ConfigError(f'episodes is {episodes}, expected at least 1')
    path = bundle or share_file('models/walker2d')
    loaded = Bundle.load(path, provider=planner.provider, n_threads=planner.n_threads)
    evaluation.check_robot(loaded)
    first_planner = Planner(
        loaded, replace(planner, seed=evaluation.noise_seed(planner, first_seed)))
    recorded = _read(data, loaded)
    rng = np.random.default_rng(first_seed)
    windows = recorded and recorded_windows.draw_windows(
        recorded, loaded.robot, loaded.horizon, n_windows=N_RECORDED_PLANS, rng=rng)
    seeds = range(first_seed, first_seed + episodes)
    watched = []
    with (progress('walking', episodes, unit='episodes') as advance,
          evaluation.open_pool(processes or os.cpu_count() or 1) as pool):
        for one in measure.watch_episodes(path, planner, seeds, pool=pool,
                                          perturbation=perturbation):
            watched.append(one)
            advance(1, ret=f'{one.result.episode_return:.0f}')

    measured = _compare('visited', [b for w in watched for b in w.branches.values()], loaded)
    if recorded:
        branches = recorded_windows.plan_from(windows, first_planner, perturbation=perturbation)
        n_action = loaded.robot.action_dim
        measured |= _compare('recorded', branches, loaded)
        measured['recorded actions, recorded states'] = measure.compare_states(
            recorded_windows.replay(windows, loaded.robot, perturbation=perturbation),
            windows[:, 1:, n_action:], loaded)

    out.mkdir(parents=True, exist_ok=True)
    changes = [f'{name} {value:g}' for name, value in asdict(perturbation).items()
               if value != getattr(UNPERTURBED, name)]
    model = '/'.join(path.parts[-2:]) + (f' ({", ".join(changes)})' if changes else '')
    files = [out / 'misalignment.png', out / 'series.png', out / 'ood.png']
    with written(files[0]) as scratch:
        shown = {k: m for k, m in measured.items() if k != 'dynamics model, recorded states'}
        draw_misalignment(shown, loaded.robot, file=scratch,
                          title=f'Predicted against executed states: {model}')
    with written(files[1]) as scratch:
        which, branch, real = _typical(watched, measured['plans, visited states'], loaded)
        draw_series(branch, real, loaded.robot, file=scratch, real_label='closed loop (replanned)',
                    title=f'A typical plan of {model}: {which}')
    with written(files[2]) as scratch:
        scores = _score(watched, loaded, recorded, rng, model, scratch)
    if recorded:
        files.append(out / 'series_recorded.png')
        with written(files[-1]) as scratch:
            typical = _middle(measured['plans, recorded states'].per_plan)
            draw_series(branches[typical], windows[typical], loaded.robot, file=scratch,
                        real_label='recorded',
                        title=f'A typical plan of {model} from a recorded state')
    imagined, executed = _imagine(first_planner, first_seed, perturbation)
    if video:
        files += _render(imagined, executed, loaded.robot.control_period,
                         out / 'imagination.mp4')
    plans = measured['plans, visited states']
    results = evaluation.summarize([w.result for w in watched], loaded.robot.name)
    report({
        'bundle': str(path), 'bundle_hash': loaded.hash, 'perturbation': asdict(perturbation),
        **{k: results[k] for k in ('episodes', 'seeds', 'return_mean', 'return_stderr', 'falls')},
        'misalignment': {name: _figures(m) for name, m in measured.items()},
        'misalignment_per_entry': {
            entry_name(e): float(x)
            for e, x in zip(loaded.robot.state, plans.per_entry, strict=True)},
        **scores,
        'imagination': {
            'seed': first_seed, 'fell_after_s': _number(
                (len(executed) - 1) * loaded.robot.control_period
                if len(executed) < len(imagined) else np.nan),
            'imagined_m': float(imagined[-1, 0] - imagined[0, 0]),
            'executed_m': float(executed[-1, 0] - executed[0, 0])},
        'files': list(map(str, files))}, as_json=json)


def _read(data: tuple[Path, ...] | None, bundle: 'Bundle') -> 'list[Episode]':
    if not data:  # then nobody needs h5py
        return []
    from ...data.formats import read_episodes

    return [e for path in data for e in read_episodes(path, bundle.robot, needs_rewards=False)]


def _compare(states: str, branches: 'list[Branch]', bundle: 'Bundle') -> 'dict[str, Misalignment]':
    """Compare with what was executed: the plans and, where there is one, the dynamics model."""
    from ...experiments.misalignment import forecast_error_of, misalignment_of

    measured = {f'plans, {states} states': misalignment_of(branches, bundle)}
    if bundle.has_dynamics:
        measured[f'dynamics model, {states} states'] = forecast_error_of(branches, bundle)
    return measured


def _figures(measured: 'Misalignment') -> dict[str, Any]:
    n = len(measured.planned)
    return {'plans': n, 'mean': measured.mean, 'stderr': measured.stderr if n > 1 else None,
            'per_step': [_number(x) for x in measured.per_step]}


def _number(value: float) -> float | None:
    """Return what JSON can hold: it has no NaN."""
    return float(value) if value == value else None


def _middle(values: 'NDArray') -> int:
    """Return the index of the median."""
    import numpy as np

    return int(np.argsort(values)[len(values) // 2])


def _typical(watched: 'Sequence[WatchedEpisode]', measured: 'Misalignment', bundle: 'Bundle'
             ) -> 'tuple[str, Branch, NDArray]':
    """Find the plan of median misalignment; return its name, itself and the closed loop's rows."""
    import numpy as np

    places = [(w, step) for w in watched for step in w.branches]
    found, step = places[_middle(measured.per_plan)]
    rows = slice(step, step + bundle.horizon)
    actions = found.episode.actions[rows] * bundle.robot.torque_limit
    states = found.episode.observations[rows][:len(actions)]
    at = step * bundle.robot.control_period
    return (f'seed {found.result.seed}, {at:.2f} s', found.branches[step],
            np.concatenate([actions, states], axis=1))


def _score(watched: 'Sequence[WatchedEpisode]', bundle: 'Bundle', recorded: 'list[Episode]',
           rng: Any, model: str, file: Path) -> dict[str, Any]:
    """Score states and plans, draw the scores, and return their figures."""
    import numpy as np

    from ...experiments import out_of_distribution as ood
    from ...experiments.plots import diagnosis_plots as pictures

    drawn = ood.RecordedStates.draw(recorded, bundle, rng) if recorded else None
    scores = [ood.score_episode(w, bundle, drawn) for w in watched]
    whole = {name: np.concatenate([s.by_name[name] for s in scores]) for name in scores[0].by_name}
    falls_soon = np.concatenate([s.time_to_fall for s in scores]) <= FALLS_WITHIN
    areas = {name: ood.area_under_curve(score, falls_soon) for name, score in whole.items()}
    groups, surprises = {}, {'visited': whole['surprise']}
    if drawn is not None:
        groups = {'recorded': ood.nearest_distance(drawn.held_out, drawn.reference),
                  'visited': whole['state_distance'], 'planned': whole['plan_distance']}
    if 'denoised' in bundle.calibrations:
        surprises = {'recorded': bundle.calibrations['denoised'].errors, **surprises}
    pictures.draw_scores(groups, surprises, scores, areas, file=file,
                         title=f'Out of distribution: {model}')
    edges = (*pictures.BEFORE_FALL[::-1], 0.0)
    intervals = ['earlier_or_no_fall', *(f'{a:g}_to_{b:g}_s' for a, b in pairwise(edges))]
    return {
        'distance_to_data': {name: _percentiles(x) for name, x in groups.items()},
        'surprise': {name: _percentiles(x) for name, x in surprises.items()},
        'median_score_before_falls': {
            name: {k: _number(np.nanmedian(g)) if len(g) else None
                   for k, g in zip(intervals, parts, strict=True)}
            for name, parts in pictures.by_time_before_fall(scores).items()},
        f'auc_falls_within_{FALLS_WITHIN}_s': {k: _number(x) for k, x in areas.items()}}


def _percentiles(values: 'NDArray') -> dict[str, float]:
    import numpy as np

    return {f'p{p}': float(np.nanpercentile(values, p)) for p in (50, 90, 99)}


def _imagine(planner: 'Planner', seed: int, perturbation: Perturbation
             ) -> 'tuple[NDArray, NDArray]':
    """Return joint positions of planned states, and of planned actions executed, (n, 9) each."""
    from ...experiments.imagination import execute_whole_plans, imagine, positions_of
    from ...sim.environment import make_environment

    robot = planner.bundle.robot
    environment = make_environment(robot.name)
    period = planner.bundle.robot.control_period
    n_plans = round(VIDEO_SECONDS / period / (planner.bundle.horizon - 1))
    states = imagine(planner, environment.reset(seed), n_plans)
    return (positions_of(states, robot, environment.joint_names),
            execute_whole_plans(planner, seed, n_plans, perturbation=perturbation))


def _render(imagined: 'NDArray', executed: 'NDArray', period: float, file: Path) -> list[Path]:
    """Render the two side by side; return the file, or nothing where OpenGL is missing."""
    import numpy as np

    from ...experiments.plots.video import render_apart
    from ...sim.walker2d import Walker2D

    recordings = []
    for name, positions in (('planned states, imposed', imagined),
                            ('planned actions, executed', executed)):
        times = np.arange(len(positions)) * period
        labels = [f'{name}   {t:.2f} s   {x:.2f} m' for t, x in
                  zip(times, positions[:, 0], strict=True)]
        if len(positions) < len(imagined):
            labels[-1] += '   fallen'
        recordings.append({'times': times * SLOW_MOTION, 'labels': np.array(labels),
                           **dict(zip(Walker2D().joint_names, positions.T, strict=True))})
    print('rendering the video ...', file=sys.stderr)
    reason = render_apart(recordings, file)
    if reason is None:
        return [file]
    print(f'no video: {reason}', file=sys.stderr)
    return []
