# Copyright 2026 diffusion_planner_ros developers
# SPDX-License-Identifier: Apache-2.0
"""Show plans in rviz2: path, markers and denoising, drawn in a thread of its own."""

from collections import deque
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
import threading
import time
import traceback

from nav_msgs.msg import Path
import numpy as np
from numpy.typing import NDArray
from rclpy.node import Node
from visualization_msgs.msg import MarkerArray

from ...errors import StateError
from ...planning.delay_compensation import Redo
from ...planning.planner import Plan, Planner
from ...settings import check_settings, document_settings, setting
from ...urdf_tree import Urdf
from ..common.conversions import NANOSECONDS
from ..common.topics import DENOISING, MARKERS, PLAN_PATH, PLANNER
from .goal_markers import goal_markers
from .markers import delete_all, denoising_markers, header_at, plan_markers, plan_path

EXECUTED_PERIOD = NANOSECONDS // 50  # [ns], shortest time between two points of the executed path
MAX_WAIT = 0.1  # [s] for a plan, before something is drawn without a new one
STEP_PERIOD = 0.2  # [s] for which a denoising step is shown
DENOISING_PERIOD = 2.0  # [s] between two plans whose denoising is shown
N_SHOWN_STEPS = 8


@document_settings
@dataclass(frozen=True)
class DisplayConfig:
    """Parameters of what is drawn."""

    marker_rate: float = setting(
        10.0, 'Rate at which plans are drawn, while the topics are subscribed.',
        unit='Hz', low=0.1, high=60.0, read_only=True)
    frame_id: str = setting(
        'world', "Frame of all markers: the URDF's root link.",
        read_only=True)
    executed_time: float = setting(
        3.0, 'How far back the executed path is drawn.', unit='s',
        low=0.0, high=60.0, read_only=True)

    def __post_init__(self) -> None:
        check_settings(self)


@dataclass(eq=False, slots=True)
class Shown:
    """A plan to draw, and the state that it starts from."""

    planner: Planner
    plan: Plan
    stamp: int
    """Time of that state [ns]."""
    positions: dict[str, float]
    """Measured positions of all joints [m, rad]."""
    redo: Redo
    """Makes the same plan again, to see how it is denoised."""
    goals: Sequence[NDArray] = ()
    """Goals that the robot heads for [m], shape (2,) each."""


class PlanDisplay:
    """
    Publishes ``~/plan_path``, ``~/markers`` and ``~/denoising`` of a planner node.

    A thread of its own draws at its own rate, and only what is subscribed. After an exception in
    it, it logs the traceback and ends; the planning goes on.

    :param node: of the planner; gets the publishers.
    :param urdf: of the planner's robot.
    """

    def __init__(self, node: Node, urdf: Urdf, config: DisplayConfig) -> None:
        self._paths, self._markers, self._denoising = (
            PLANNER.publisher(node, topic) for topic in (PLAN_PATH, MARKERS, DENOISING))
        self._logger = node.get_logger()
        self._urdf = urdf
        self._config = config
        self._lock = threading.Lock()
        self._latest: Shown | None = None
        self._is_forgotten = False
        self._executed: deque[tuple[int, dict[str, float]]] = deque(
            maxlen=2 + round(config.executed_time * NANOSECONDS / EXECUTED_PERIOD))
        # Of the drawing thread alone.
        self._drawn: tuple[Shown | None, int] = (None, 0)
        self._steps: deque[MarkerArray] = deque()
        self._denoise_at = 0.0
        self._closing = threading.Event()
        self._has_new = threading.Event()
        self._threads = ThreadPoolExecutor(1, thread_name_prefix='display')
        self._threads.submit(self._draw).add_done_callback(self._report)

    def show(self, shown: Shown) -> None:
        """
        Hand over a new plan; this takes microseconds, whether it is drawn or not.

        :param shown: the plan, and what belongs to it; not changed afterwards.
        """
        stamp = shown.stamp
        with self._lock:
            self._latest = shown
            if not self._executed or stamp - self._executed[-1][0] >= EXECUTED_PERIOD:
                self._executed.append((stamp, shown.positions))
        self._has_new.set()

    def forget(self) -> None:
        """Delete all that is drawn, because time jumped."""
        with self._lock:
            self._latest = None
            self._executed.clear()
            self._is_forgotten = True

    def close(self) -> None:
        """End the drawing."""
        self._closing.set()
        self._has_new.set()
        self._threads.shutdown()

    def _report(self, drawing: 'Future[None]') -> None:
        if (error := drawing.exception()) is not None:
            self._logger.error('drawing has ended, planning goes on:\n'
                               + ''.join(traceback.format_exception(error)))

    def _draw(self) -> None:
        now = draw_at = step_at = time.monotonic()
        while not self._closing.wait(max(0.0, min(draw_at, step_at) - now)):
            # Right after a plan there is time until the next state comes.
            self._has_new.clear()
            self._has_new.wait(MAX_WAIT)
            with self._lock:
                shown, executed = self._latest, list(self._executed)
                is_forgotten, self._is_forgotten = self._is_forgotten, False
            if is_forgotten:
                self._clear()
            now = time.monotonic()
            if now >= draw_at:
                draw_at = now + 1.0 / self._config.marker_rate
                self._draw_plan(shown, executed)
            if now >= step_at:
                step_at = now + STEP_PERIOD
                self._draw_denoising(shown, now)

    def _clear(self) -> None:
        self._steps.clear()
        nothing = delete_all(header_at(0, self._config.frame_id))
        self._markers.publish(nothing)
        self._denoising.publish(nothing)
        self._paths.publish(Path(header=header_at(0, self._config.frame_id)))

    def _draw_plan(self, shown: Shown | None, executed: list[tuple[int, dict[str, float]]]
                   ) -> None:
        wants_markers = self._markers.get_subscription_count()
        wants_path = self._paths.get_subscription_count()
        # The same plan is drawn again only for a new subscriber.
        due = (shown, wants_markers + wants_path)
        if shown is None or due == self._drawn:
            return
        self._drawn = due
        robot = shown.planner.bundle.robot
        header = header_at(shown.stamp, self._config.frame_id)
        if wants_path:
            self._paths.publish(plan_path(shown.plan, robot, self._urdf, shown.positions, header))
        if wants_markers:
            oldest = shown.stamp - round(self._config.executed_time * NANOSECONDS)
            recent = [positions for stamp, positions in executed if stamp >= oldest]
            markers = plan_markers(
                shown.plan, robot, self._urdf, shown.positions, recent, header)
            if robot.goal is not None:
                markers.markers += goal_markers(robot.goal, shown.goals, header)
            self._markers.publish(markers)

    def _draw_denoising(self, shown: Shown | None, now: float) -> None:
        if not self._denoising.get_subscription_count():
            self._steps.clear()
            return
        if not self._steps and shown is not None and now >= self._denoise_at:
            self._denoise_at = now + DENOISING_PERIOD
            self._steps.extend(self._denoise(shown))
        if self._steps:
            self._denoising.publish(self._steps.popleft())

    def _denoise(self, shown: Shown) -> list[MarkerArray]:
        """
        Make the plan again, and draw steps of it, from noise to what was executed.

        Plans are calculated as one graph, which shows no steps; the seed of the noise is the same.
        """
        bundle = shown.planner.bundle
        schedule = bundle.schedule
        recorded: list[tuple[int, NDArray]] = []
        try:
            plan = shown.redo(on_step=lambda t, x_t: recorded.append((t, x_t)))
        except StateError:
            return []  # the replanner has logged what is wrong with the state
        header = header_at(shown.stamp, self._config.frame_id)
        chosen = np.unique(np.linspace(0, len(recorded) - 1, N_SHOWN_STEPS).round().astype(int))
        return [denoising_markers(
            bundle.normalizer.unnormalize(x_t.astype(np.float64))[..., plan.action_dim:],
            plan, t, schedule.n_steps, bundle.robot, self._urdf, shown.positions, header)
            for t, x_t in (recorded[i] for i in chosen)]
