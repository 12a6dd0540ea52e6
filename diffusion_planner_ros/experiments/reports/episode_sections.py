# Copyright 2026 diffusion_planner_ros developers
# SPDX-License-Identifier: Apache-2.0
"""Parts of a page that tell about episodes: key figures, table, latencies, a playback."""

from collections.abc import Mapping, Sequence
from html import escape
import json
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .charts import histogram, line_chart, point_chart, Series
from .html_text import section, table, text_of, with_error
from .recorded_episode import RecordedEpisode

COLUMNS = {'seed': 'seed', 'return': 'return', 'steps': 'control periods',
           'distance_m': 'distance [m]', 'fell': 'fell', 'plan_p50_ms': 'plan p50 [ms]',
           'plan_p99_ms': 'p99 [ms]', 'latency_p50_ms': 'latency p50 [ms]',
           'latency_p99_ms': 'p99 [ms]', 'missed_deadlines': 'missed deadlines', 'stops': 'stops'}
FRAME_RATE, MAX_FRAMES = 40, 800  # of the playback, at most [1/s]
SHOWN = 2.0  # [s] at the end of an episode that charts show, so that lines can be told apart
MANY_PLANS = 20  # drawn over an executed path, about


def key_figures(facts: Mapping[str, Any]) -> str:
    """Return the figures that a reader asks for first, as tiles."""
    tiles: list[tuple[str, str]] = []

    def add(name: str, key: str, style: str = '{}', scale: float = 1.0) -> None:
        if facts.get(key) is not None:
            tiles.append((name, style.format(text_of(scale * facts[key]))))

    if 'return_mean' in facts:
        tiles.append(('return', with_error(facts['return_mean'], facts.get('return_stderr'))))
    add('normalised score', 'normalized_score')
    if 'falls' in facts and 'episodes' in facts:
        tiles.append(('falls', f'{facts["falls"]} of {facts["episodes"]}'))
    add('distance', 'distance_mean_m', '{} m')
    for name, key in (('state to torque', 'latency'), ('time of a plan', 'plan')):
        if facts.get(f'{key}_p50_ms') is not None:
            tiles.append((f'{name}, median (99 %)', f'{facts[f"{key}_p50_ms"]:.2f} '
                          f'({facts[f"{key}_p99_ms"]:.2f}) ms'))
    add('missed deadlines', 'missed_deadline_rate', '{} %', 100)
    add('stops', 'stops')
    return ('<ul class="tiles">' + ''.join(f'<li><b>{escape(value)}</b>{escape(name)}</li>'
                                           for name, value in tiles) + '</ul>') if tiles else ''


def returns_chart(runs: Mapping[str, Sequence[Mapping[str, Any]]]) -> str:
    """Return a chart of the return of every episode; ``runs`` are rows by the run's name."""
    runs = {name: rows for name, rows in runs.items() if rows}
    if not runs:
        return ''
    return point_chart(
        'Return of every episode', 'seed', 'return',
        [Series(name, [row['seed'] for row in rows], [row['return'] for row in rows])
         for name, rows in runs.items()],
        texts=[[f'{name}, seed {row["seed"]}: return {text_of(row["return"])}, {row["steps"]} '
                f'periods, {row["distance_m"]:.2f} m{", fell" if row["fell"] else ""}'
                for row in rows] for name, rows in runs.items()],
        marked=[[row['fell'] for row in rows] for rows in runs.values()])


def latency_charts(course: Mapping[str, Any]) -> str:
    """Return charts of how long plans took, whichever was measured."""
    charts = ''
    if 'plan_ms' in course:
        charts += histogram('How long plans took', 'time of a plan [ms]; the last bar: and longer',
                            **course['plan_ms'])
    latency = course.get('latency')
    if latency and len(latency['control_periods']) > 1:
        charts += line_chart(
            'From a state to its torque: percentiles of the last 10,000 states',
            'control periods since the beginning', 'latency [ms]',
            [Series(label, latency['control_periods'], _with_nan(latency[key])) for key, label in (
                ('latency_p50_ms', 'median'), ('latency_p99_ms', '99th percentile'))])
    return charts


def episode_table(rows: Sequence[Mapping[str, Any]]) -> str:
    """Return the table of episodes, falls pointed out."""
    if not rows:
        return ''
    shown = [key for key in COLUMNS if key in rows[0]]
    return section('Episodes', table(
        [COLUMNS[key] for key in shown], [[row[key] for key in shown] for row in rows],
        marked=[k for k, row in enumerate(rows) if row['fell']]),
        'Latencies of runs through ROS are percentiles of the last 10,000 states at the end of '
        'the episode.' if 'latency_p50_ms' in shown else '')


def recorded_charts(episode: RecordedEpisode) -> str:
    """Return charts of the end of a recorded episode: path, torques, positions, velocities."""
    last = episode.times >= episode.times[-1] - SHOWN
    times = episode.times[last]
    charts = _path_chart(episode) if episode.paths.shape[1] else ''
    charts += line_chart('Torques', 'time [s]', 'torque [N m], force [N]', [
        Series(str(motor), times, torque[last])
        for motor, torque in zip(episode.motors, episode.torques.T, strict=True)])
    units = dict.fromkeys(str(name).rpartition(' ')[2] for name in episode.state_names)
    for unit in units:
        charts += line_chart(f'States {unit}', 'time [s]', unit, [
            Series(str(name).removesuffix(f' {unit}'), times, state[last])
            for name, state in zip(episode.state_names, episode.states.T, strict=True)
            if str(name).endswith(unit)])
    return charts


def _path_chart(episode: RecordedEpisode) -> str:
    """Draw the path of the torso and where plans would have led it; whole if seen from above."""
    is_flat = _is_flat(episode)
    up, begin = (1, 0.0) if is_flat else (2, episode.times[-1] - SHOWN)
    path = episode.paths[episode.times >= begin, 0]
    plans = episode.plans[episode.times[episode.plan_rows] >= begin]
    planned = [Series('planned', plan[0, 0, :, 0], plan[0, 0, :, up])
               for plan in plans[::max(1, len(plans) // MANY_PLANS)] if plan.size]
    return line_chart(f'Path of the torso{", whole" if is_flat else ""}: executed and planned',
                      'x [m]', f'{"xyz"[up]} [m]',
                      [Series('executed', path[:, 0], path[:, up])], faint=planned)


def playback(episode: RecordedEpisode) -> str:
    """Return what the page's script plays back in 3D."""
    if not episode.shapes.shape[1]:
        return ('<p class="about">No playback: the robot has no URDF, or one with joints that '
                'nobody measured.</p>')
    times = episode.times
    n = min(len(times), max(2, round(float(times[-1]) * FRAME_RATE)), MAX_FRAMES)
    frames = np.unique(np.linspace(0, len(times) - 1, n).round().astype(int))
    data = {
        'times': [round(float(t), 3) for t in times[frames]],
        'shapes': [_millimetres(episode.shapes[k]) for k in frames],
        'radii': _millimetres(episode.radii),
        'far': ['left' in str(name) for name in episode.links],
        'path': [_millimetres(point) for point in episode.paths[frames, 0]],
        'plans': [{'t': round(float(times[row]), 3), 'lines': [
            [_millimetres(line) for line in candidate] for candidate in plan]}
            for row, plan in zip(episode.plan_rows.tolist(), episode.plans, strict=True)],
        'goal': _millimetres(episode.goal), 'walls': [_millimetres(w) for w in episode.walls],
        'flat': _is_flat(episode)}
    return (f'<div class="player"><script type="application/json">{json.dumps(data)}</script>'
            '<canvas aria-label="the robot in motion"></canvas><div class="controls">'
            '<button type="button">Play</button><input type="range" min="0" value="0" step="any" '
            'aria-label="time"><output></output><select aria-label="speed">'
            '<option value="1">real time</option><option value="0.25">1/4</option>'
            '<option value="0.05">1/20</option></select><label><input type="checkbox" checked> '
            'plans</label></div></div>')


def _is_flat(episode: RecordedEpisode) -> bool:
    """Whether all motion is in the plane of the floor."""
    moved = np.ptp(episode.shapes, axis=0).max(axis=(0, 1)) if len(episode.radii) else np.ones(3)
    return bool(moved[1] > moved[2])


def _millimetres(points: NDArray) -> list[int]:
    return (np.asarray(points, dtype=float) * 1000).round().astype(int).ravel().tolist()


def _with_nan(values: Sequence[float | None]) -> NDArray:
    return np.array([np.nan if value is None else value for value in values], dtype=float)
