# Copyright 2026 diffusion_planner_ros developers
# SPDX-License-Identifier: Apache-2.0
"""``diffusion_planner walk``: the main job, a robot that walks through ROS 2."""

from importlib.util import find_spec
from pathlib import Path
import sys
from typing import TYPE_CHECKING

from ..files import written
from ..nodes.threads.scheduling import SchedulingConfig
from ..planning.planner_config import PlannerConfig
from .interrupted import Interrupted
from .output import LiveLine, report
from .preset_option import PresetName
from .robot_option import simulated_bundle

if TYPE_CHECKING:
    from ..experiments.ros.ros_session import Recording
    from ..robot import Robot


def walk(
    planner: PlannerConfig,
    scheduling: SchedulingConfig,
    preset: PresetName = None,
    robot: str | None = None,
    bundle: Path | None = None,
    episodes: int = 1,
    seed: int = 0,
    lockstep: bool = False,
    real_time_factor: float = 1.0,
    out: Path = Path('walk'),
    video: bool = True,
    view: bool = True,
    record: Path | None = None,
    mcap: Path | None = None,
    json: bool = False,
) -> None:
    """
    Start simulator and planner as two ROS 2 nodes, let the robot walk, and show what it did.

    Writes OUT/report.html, made of OUT/summary.json, OUT/episode.npz, OUT/plan.png (planned
    against executed path) and, where OpenGL is there, OUT/walk.mp4. After Ctrl-C it is about the
    episodes that were finished, without the video.

    :param planner: how to plan.
    :param scheduling: how Linux treats planner and simulator.
    :param preset: published method, whose settings become the defaults of the options
        --planner.*; see docs/how_to/compare.md.
    :param robot: name of a robot, or path of its folder; by default the one that BUNDLE names, or
        walker2d.
    :param bundle: folder of the model bundle; the one that ships for ROBOT by default.
    :param episodes: number of episodes; their seeds count up from SEED.
    :param seed: seed of the first episode's initial state.
    :param lockstep: wait for the plan of every control period, instead of real time.
    :param real_time_factor: simulated over wall time, without lockstep.
    :param out: folder of report, summary, picture and video.
    :param video: render the last episode to OUT/walk.mp4.
    :param view: serve a page that shows the robot in a browser, to this machine alone, if viser is
        installed; its address is printed.
    :param record: HDF5 file to record the executed plans of all episodes to.
    :param mcap: MCAP file to record all topics to, for Foxglove and ``ros2 bag``.
    :param json: print the summary as JSON.
    """
    from ..errors import ConfigError, PlannerError
    from ..experiments import closed_loop as evaluation
    from ..experiments.reports.report_page import PAGE_FILE, write_report
    from ..experiments.reports.run_facts import run_facts
    from ..experiments.reports.walk_source import recorded_walk
    from ..experiments.ros.ros_session import session, SessionConfig
    from ..settings import as_facts

    if episodes < 1:
        raise ConfigError(f'episodes is {episodes}, expected at least 1')
    loaded = simulated_bundle(bundle, planner, robot)
    path = loaded.path
    config = SessionConfig(bundle=path, planner=planner, lockstep=lockstep,
                           real_time_factor=real_time_factor, first_seed=seed,
                           log=record, mcap=mcap, preset=preset or '',
                           view=view and find_spec('viser') is not None,
                           scheduling=scheduling)
    results: list[evaluation.EpisodeResult] = []
    ended_by: KeyboardInterrupt | PlannerError | None = None
    with session(config, record=True) as nodes, LiveLine() as line:
        def show(bridge: dict[str, str]) -> None:
            if bridge['steps'] == '0':
                return
            line.show(f'episode {bridge["seed"]}: {float(bridge["time"]):5.2f} s  '
                      f'{float(bridge["distance"]):6.2f} m  {float(bridge["speed"]):5.2f} m/s  '
                      f'plan latency {float(bridge["latency_p50_ms"]):.1f} ms')
        try:
            for episode_seed in range(seed, seed + episodes):
                if episode_seed != seed:
                    nodes.reset(episode_seed)
                results.append(nodes.finish_episode(episode_seed, show))
                recording = nodes.recording
        except (KeyboardInterrupt, PlannerError) as error:
            if not results:
                raise
            ended_by = error
        timing, course = nodes.timing(), nodes.course(results)
    summary = {**evaluation.summarize(results, loaded.robot.name), **timing,
               'episode_steps': [r.steps for r in results],
               'distances_m': [r.distance for r in results],
               'fell': [r.fell for r in results],
               'provider': loaded.provider, 'bundle': str(path), 'bundle_hash': loaded.hash,
               'real_time_factor': None if lockstep else real_time_factor,
               'seed': seed, 'planner_seed': planner.seed, 'course': course,
               'run': run_facts('walk', loaded.robot.name, planner=as_facts(planner),
                                scheduling=as_facts(scheduling))}
    out.mkdir(parents=True, exist_ok=True)
    files = [_draw(loaded.robot, recording, out, summary)]
    if video and ended_by is None:  # whoever pressed Ctrl-C does not wait for it
        files += _render(loaded.robot.name, recording, out)
    episode = recorded_walk(recording, loaded.robot, results[-1].seed)
    report(write_report(out, {**summary, 'files': files}, episode), as_json=json)
    if ended_by is not None:
        kept = f'{len(results)} of {episodes} episodes were finished, and are in {out}/{PAGE_FILE}'
        if isinstance(ended_by, PlannerError):
            raise PlannerError(f'{ended_by}; {kept}') from ended_by
        raise Interrupted(kept) from ended_by


def _draw(robot: 'Robot', recording: 'Recording', out: Path, summary: dict) -> str:
    """Draw the last episode; return the file."""
    from ..experiments.plots.walk_plot import draw_walk
    from ..experiments.ros.ros_session import executed_path, planned_path
    from ..robots.task import Task

    file = out / 'plan.png'
    times, positions = executed_path(recording)
    plans = [(moments - times[0], planned) for moments, planned in map(planned_path,
                                                                       recording.plans)]
    with written(file) as scratch:
        draw_walk(times - times[0], positions, plans,
                  f'{robot.name} through ROS 2, {summary["mode"]}: return '
                  f'{summary["returns"][-1]:.0f}, {summary["distances_m"][-1]:.1f} m', scratch,
                  robot=robot, task=Task.load(robot.name))
    return str(file)


def _render(robot: str, recording: 'Recording', out: Path) -> list[str]:
    """Render the last episode; return the file, or nothing where OpenGL is missing."""
    from ..experiments.plots.video import render_apart
    from ..experiments.ros.ros_session import executed_path

    times, positions = executed_path(recording)
    times = times - times[0]  # the episode may have begun at any time
    file = out / 'walk.mp4'
    print('rendering the video ...', file=sys.stderr)
    reason = render_apart(robot, [{'times': times, **positions}], file)
    if reason is None:
        return [str(file)]
    print(f'no video: {reason}', file=sys.stderr)
    return []
