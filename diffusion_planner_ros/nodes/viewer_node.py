# Copyright 2026 diffusion_planner_ros developers
# SPDX-License-Identifier: Apache-2.0
"""The viewer: a page for browsers that shows any robot that these nodes move."""

from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
import os
from pathlib import Path
from queue import Empty, SimpleQueue
import sys
import time

from diagnostic_msgs.msg import DiagnosticArray
from nav_msgs.msg import Odometry
import numpy as np
from rclpy.clock import Clock, ClockType
from rclpy.node import Node
from rclpy.subscription import Subscription
from sensor_msgs.msg import JointState
from std_msgs.msg import String
from visualization_msgs.msg import MarkerArray

from ..errors import RobotError
from ..messages.stamps import NANOSECONDS, nanoseconds_from_stamp
from .common.parameters import declare
from .common.run_node import run_node
from .common.topics import (
    BRIDGE_NAME,
    DENOISING,
    DIAGNOSTICS,
    JOINT_STATES,
    MARKERS,
    NAVIGATION_RESULT,
    ODOMETRY,
    PLAN,
    PLANNER_NAME,
    ROBOT_DESCRIPTION,
    VIEWER,
)
from .threads.polled_group import PolledGroup
from .view.denoising_steps import DenoisingSteps
from .view.marker_shapes import marker_shapes, MarkerShapes
from .view.page.page import Page
from .view.playback import Playback
from .view.prediction import entries_of, Prediction
from .view.robot.base import base_joints, base_positions
from .view.robot.description import find_description
from .view.robot.robot_model import read_robot, RobotModel
from .view.robot_controls import RobotControls
from .view.verdict import Heard, report_in, verdict
from .view.viewer_config import ViewerConfig

LOOK_PERIOD = 0.2  # [s] between looks for a browser, while there is none
DESCRIPTION_TIME = 5.0  # [s] after the first state in which a description may still come
REFRESH_PERIOD = 0.5  # [s] between changes of texts
LARGEST_STEP = NANOSECONDS  # [ns] between two states, from which on time has jumped
OWN_GAP = 0.35  # [s] between two turns, from which on silence may be our own fault
NICENESS = 10  # the robot comes first
AUTOGROUP, THREADS = Path('/proc/self/autogroup'), Path('/proc/self/task')


class Viewer(Node):
    """
    Shows what it hears on a page, and does what people ask for there.

    Without a browser it listens to nothing, so that planner and bridge compute nothing for it.
    Everything but the page's own threads runs in the thread of the executor.
    """

    def __init__(self) -> None:
        super().__init__(VIEWER.node_name)
        self._config = declare(self, ViewerConfig)
        self.is_done = False
        self._actions: SimpleQueue[Callable[[], None]] = SimpleQueue()
        self._controls = RobotControls(self) if self._config.has_controls else None
        self._page = Page(self._config, self._controls, self._actions.put)
        self._group = PolledGroup()
        self._open: list[Subscription] = []
        self._denoising: Subscription | None = None  # only while it is to be seen
        self._prediction: Prediction | None = None  # the same
        self._plan_group = PolledGroup()
        self._predicting: list[Subscription] = []
        self._wall = Clock(clock_type=ClockType.STEADY_TIME)
        self._timer = self.create_timer(LOOK_PERIOD, self._turn, clock=self._wall)
        self._refresh_at = 0.0
        self._turned_at = time.monotonic()
        self._model: RobotModel | None = None
        self._described: tuple[str, str, str] | None = None  # what the model was made of
        self._fault = ''  # of the description
        self._forget()
        print(self._greeting(), file=sys.stderr, flush=True)

    def _greeting(self) -> str:
        config = self._config
        reach = ('this machine alone can open it' if config.is_local else
                 'whoever reaches this machine can open it, without a password')
        can = 'it has controls' if config.has_controls else 'it is only to look at'
        return f'live view: {self._page.server.address} ({reach}; {can})'

    # The life of the process

    def stop(self) -> None:
        """End."""
        self.is_done = True

    def close(self) -> None:
        """Serve the page no more."""
        self._stop_listening()
        self._page.close()

    # Listening

    @property
    def _is_listening(self) -> bool:
        return bool(self._open)

    def _listen(self) -> None:
        self._forget()
        for topic, callback in (
                (JOINT_STATES, self._on_joint_states), (ODOMETRY, self._on_odometry),
                (MARKERS, self._on_markers), (NAVIGATION_RESULT, self._on_result),
                (ROBOT_DESCRIPTION, self._on_description)):
            subscription = VIEWER.subscription(self, topic, callback, group=self._group)
            self._group.serve(subscription, callback)
            self._open.append(subscription)
        # All nodes of all robots report on this topic, so that the newest message is not enough.
        self._open.append(VIEWER.subscription(self, DIAGNOSTICS, self._on_diagnostics))
        if self._controls is not None:
            self._controls.open()
        self._set_period(1.0 / self._config.draw_rate)

    def _stop_listening(self) -> None:
        self._group.clear()
        for subscription in self._open:
            self.destroy_subscription(subscription)
        self._open = []
        self._listen_to_denoising(False)
        self._listen_to_prediction('')
        if self._controls is not None:
            self._controls.close()
        self._set_period(LOOK_PERIOD)

    def _listen_to_denoising(self, is_wanted: bool) -> None:
        if is_wanted and self._denoising is None:
            self._steps = DenoisingSteps()
            self._denoising = VIEWER.subscription(self, DENOISING, self._steps.add)
        elif not is_wanted and self._denoising is not None:
            self.destroy_subscription(self._denoising)
            self._denoising = None
            self._page.scene.draw(self._plan)

    def _listen_to_prediction(self, entry: str) -> None:
        """Compare plans with an entry of the state; with none, '', the planner sends no plans."""
        if entry == ('' if self._prediction is None else self._prediction.entry):
            return
        self._plan_group.clear()
        for subscription in self._predicting:
            self.destroy_subscription(subscription)
        self._predicting, self._prediction = [], None
        if entry:
            self._prediction = prediction = Prediction(entry)
            plans = VIEWER.subscription(self, PLAN, prediction.add_plan, group=self._plan_group)
            self._plan_group.serve(plans, prediction.add_plan)
            # Every state, not only the newest: a plan of ours lasts for eight.
            states = VIEWER.subscription(self, JOINT_STATES,
                                         lambda msg: prediction.add_state(msg, self._base))
            self._predicting = [plans, states]

    def _set_period(self, period: float) -> None:
        self._timer.timer_period_ns = round(period * NANOSECONDS)
        self._timer.reset()

    def _forget(self) -> None:
        self._heard = Heard(time.monotonic())
        self._stamp: int | None = None  # of the last joint states [ns]
        self._states_began: float | None = None  # when the first of them came [s]
        self._playback = Playback()
        self._base: dict[str, float] = {}
        self._efforts: dict[str, float] = {}
        self._entries: list[str] = []  # of the state
        self._has_moved = False
        self._plan = MarkerShapes()  # the newest one
        self._steps = DenoisingSteps()
        self._published = ''  # topic robot_description
        self._page.scene.clear()
        self._page.health.clear()

    # What comes

    def _on_diagnostics(self, msg: DiagnosticArray) -> None:
        now, space = time.monotonic(), self.get_namespace().strip('/')
        prefix = f'{space}/' if space else ''
        if (report := report_in(msg, prefix + PLANNER_NAME, now)) is not None:
            if int(report.facts.get('plans', 0)) < int(self._heard.planner.facts.get('plans', 0)):
                self._heard.has_plans = False  # it was started again
            self._heard.planner = report
            self._page.health.take_planner(report, self._heard.bridge)
        if (report := report_in(msg, prefix + BRIDGE_NAME, now)) is not None:
            self._heard.bridge = report
            self._page.health.take_bridge(report)

    def _on_joint_states(self, msg: JointState) -> None:
        now, stamp = time.monotonic(), nanoseconds_from_stamp(msg.header.stamp)
        self._heard.state_came = now
        if self._states_began is None:
            self._states_began = now
        if stamp != self._stamp:  # an earlier one is of a simulation that began anew
            self._heard.move_time(now, has_jumped=self._stamp is not None and not
                                  0 < stamp - self._stamp < LARGEST_STEP)
            self._stamp = stamp
        self._playback.add(stamp, _finite(msg.name, msg.position) | self._base)
        self._efforts = _finite(msg.name, msg.effort)
        self._entries = entries_of(self._playback.positions, msg)
        self._has_moved = True

    def _on_odometry(self, msg: Odometry) -> None:
        self._base = base_positions(msg, base_joints(self._heard.planner.facts))

    def _on_markers(self, msg: MarkerArray) -> None:
        self._plan = shapes = marker_shapes(msg)
        if not self._page.denoising.is_on:
            self._page.scene.draw(shapes)
        if shapes.value is not None:
            self._heard.plan_came, self._heard.has_plans = time.monotonic(), True
            self._playback.note_plan(nanoseconds_from_stamp(msg.markers[0].header.stamp))
            self._page.health.take_value(self._heard.plan_came, shapes.value)

    def _on_result(self, msg: String) -> None:
        if self._page.controls is not None:
            self._page.controls.tell_result(msg.data)

    def _on_description(self, msg: String) -> None:
        self._published = msg.data

    # What is shown

    def _turn(self) -> None:
        now = time.monotonic()
        if (gap := now - self._turned_at) > OWN_GAP:  # suspended, or other processes come first
            self._heard.excuse(gap)
        self._turned_at = now
        is_watched = self._page.server.n_viewers > 0
        if is_watched != self._is_listening:
            if is_watched:
                self._listen()
            else:
                self._stop_listening()
        self._act()
        if not is_watched:
            return
        if self._controls is not None:
            self._controls.turn(now)
        if self._page.controls is not None:
            self._page.controls.turn(now)
        with self._page.server.atomic():  # one message, and one picture
            self._show(now)

    def _show(self, now: float) -> None:
        """Take what has come, and draw what is new of it."""
        self._group.poll()
        self._plan_group.poll()
        if self._has_moved and self._model is not None:
            self._has_moved = False
            self._page.scene.move(self._model.poses(self._playback.positions))
        self._listen_to_denoising(self._page.denoising.is_on)
        if (step := self._page.denoising.refresh(self._steps)) is not None:
            self._page.scene.draw(replace(step, solids=self._plan.solids))  # walls stay
        judged = verdict(self._heard, now)
        self._page.tell(judged, self._heard.planner.hardware or self._heard.bridge.hardware)
        if now >= self._refresh_at:
            self._refresh_at = now + REFRESH_PERIOD
            self._refresh(now)

    def _act(self) -> None:
        """Do what people asked for on the page."""
        while True:
            try:
                action = self._actions.get_nowait()
            except Empty:
                return
            action()

    def _refresh(self, now: float) -> None:
        heard = self._heard
        self._find_model()
        self._page.health.prediction.offer(self._entries)
        self._listen_to_prediction(self._page.health.prediction.entry)
        self._page.health.prediction.refresh(self._prediction)
        self._page.tell_progress(heard.bridge.facts)
        self._page.health.refresh(now, heard.planner, heard.bridge, self._torques())
        if self._page.controls is not None:
            self._page.controls.refresh(heard.planner, heard.bridge)
        self._page.remark(*self._remarks(now))

    def _find_model(self) -> None:
        """Draw another robot if another one is described now."""
        report = self._heard.planner
        described = (report.facts.get('robot_description', ''),
                     report.hardware or self._heard.bridge.hardware, self._published)
        if described == self._described:
            return
        self._described = described
        self._model, self._fault = None, ''
        try:
            found = find_description(self._config.robot, report.facts, described[1],
                                     self._published)
            self._model = None if found is None else read_robot(found)
        except RobotError as error:
            self._fault = str(error)
        self._page.show_robot(self._model)
        self._has_moved = bool(self._playback.positions)

    def _torques(self) -> dict[str, tuple[float, float]]:
        """Return the torque and its limit [N m] of every joint that has a motor."""
        limits = {} if self._model is None else self._model.effort_limits
        if limits:
            return {joint: (self._efforts[joint], limit) for joint, limit in limits.items()
                    if limit > 0 and joint in self._efforts}
        return {joint: (effort, 0.0) for joint, effort in self._efforts.items()}

    def _remarks(self, now: float) -> tuple[str, bool]:
        """Return what cannot be drawn as it should be, and why; and whether that is bad."""
        if self._fault:
            return self._fault, True
        if self._model is None:
            if self._states_began is None:
                return '', False
            if now - self._states_began < DESCRIPTION_TIME:
                return 'Waiting for what describes the robot (URDF or MJCF) ...', False
            return ('No URDF or MJCF of this robot: its links are not drawn. Publish it on topic '
                    "robot_description, or set the viewer's parameter robot.", True)
        remarks = [f'not drawn: {text}' for text in self._model.lacking[:3]]
        positions = self._playback.positions
        if positions and (lacking := self._model.unmeasured(positions)):
            remarks.append(f'drawn at 0, as nobody measures them: {", ".join(lacking)}')
        return '; '.join(remarks), True


def _finite(names: list[str], numbers: list[float]) -> dict[str, float]:
    """Return the numbers of joints by name, without those that are missing or not finite."""
    return {name: float(number) for name, number in zip(names, numbers, strict=False)
            if np.isfinite(number)}


def _come_last() -> None:
    # Who started it with a lower priority meant that; only root could raise it again.
    niceness = max(NICENESS, os.getpriority(os.PRIO_PROCESS, 0))
    # Linux keeps it by thread, and libraries have begun some when they were imported.
    for thread in THREADS.iterdir() if THREADS.exists() else (Path('0'),):
        os.setpriority(os.PRIO_PROCESS, int(thread.name), niceness)
    # Where Linux shares the cores among sessions first, niceness counts within a session alone.
    if os.getsid(0) == os.getpid() and AUTOGROUP.exists():
        with suppress(OSError):  # the kernel may ask for patience; it is a courtesy
            AUTOGROUP.write_text(str(NICENESS), encoding='ascii')


def main(argv: list[str] | None = None) -> None:
    """Run the viewer."""
    _come_last()
    run_node(Viewer, argv)
