# Copyright 2026 diffusion_planner_ros developers
# SPDX-License-Identifier: Apache-2.0
"""What plans predicted of an entry of the state is laid over what was measured."""

from builtin_interfaces.msg import Duration
import numpy as np
import pytest
from sensor_msgs.msg import JointState
from trajectory_msgs.msg import JointTrajectory, JointTrajectoryPoint
import viser

from diffusion_planner_ros.nodes.common.conversions import stamp_from_nanoseconds
from diffusion_planner_ros.nodes.view.page.time_chart import draw_lines, line_plot
from diffusion_planner_ros.nodes.view.prediction import entries_of, Prediction, SPAN

PERIOD = 8_000_000  # [ns]
HORIZON = 8


def state(step, **velocities):
    msg = JointState(name=list(velocities), position=[0.0] * len(velocities),
                     velocity=list(velocities.values()))
    msg.header.stamp = stamp_from_nanoseconds(step * PERIOD)
    return msg


def plan(step, velocities, joint='hip'):
    """Make a plan that starts from the state of a step, with another joint before ours."""
    msg = JointTrajectory(joint_names=['other', joint], points=[
        JointTrajectoryPoint(positions=[0.0, 0.0], velocities=[9.0, value],
                             time_from_start=Duration(nanosec=k * PERIOD))
        for k, value in enumerate(velocities)])
    msg.header.stamp = stamp_from_nanoseconds(step * PERIOD)
    return msg


def shown(prediction):
    """Return what is drawn, by the step counted from the last one."""
    times, measured, predicted = prediction.take()
    return {round(t * 1e9 / PERIOD, 3): (m, p)
            for t, m, p in zip(times, measured, predicted, strict=True)}


def test_entries_are_named_by_joint_and_quantity_and_the_base_of_odometry_is_one():
    assert entries_of({'hip': 0.0, 'rootz': 1.0}, state(0, hip=1.0)) == [
        'hip position', 'rootz position', 'hip velocity']


def test_a_prediction_stands_at_the_time_that_it_was_made_for():
    prediction = Prediction('hip velocity')
    for step in range(HORIZON + 3):
        prediction.add_state(state(step, hip=float(step)), {})
        # Every plan says 0.5 more than what comes; one plan is kept until it is over.
        prediction.add_plan(plan(step, [step + k + 0.5 * (k > 0) for k in range(HORIZON)]))
    rows = shown(prediction)
    last = HORIZON + 2
    for step in range(1, HORIZON):
        assert rows[step - last] == pytest.approx((step, step + 0.5))
    assert rows[-last] == pytest.approx((0.0, 0.0))
    # The next plan began in the last row of the first one; it is not over, so it is not shown.
    assert np.isnan(rows[0][1])
    assert prediction.take() is None  # nothing is new


def test_a_gap_separates_plans_and_old_ones_are_forgotten():
    prediction = Prediction('hip velocity')
    n_steps = round(2 * SPAN * 1e9 / PERIOD)
    for step in range(n_steps):
        prediction.add_state(state(step, hip=1.0), {})
        if step % 20 == 0:
            prediction.add_plan(plan(step, [2.0] * HORIZON))
    times, measured, predicted = prediction.take()
    assert times[0] == pytest.approx(-SPAN, abs=0.02)
    assert times[-1] == 0.0
    np.testing.assert_array_equal(measured, 1.0)
    is_plan = np.isfinite(predicted)
    n_plans = np.count_nonzero(np.diff(is_plan.astype(int)) == 1)
    assert n_plans == pytest.approx(SPAN * 1e9 / PERIOD / 20, abs=1)
    np.testing.assert_array_equal(predicted[is_plan], 2.0)


def test_jumps_of_time_and_values_that_are_not_there_do_no_harm():
    prediction = Prediction('hip velocity')
    prediction.add_state(state(0, knee=1.0), {})
    prediction.add_state(state(1, hip=float('nan')), {})
    assert prediction.take() is None
    prediction.add_plan(plan(10_000, [1.0] * HORIZON))
    for step in (10_000, 10_001, 3, 3, 4):  # another episode, and a state that is repeated
        prediction.add_state(state(step, hip=2.0), {})
        prediction.add_plan(plan(step, [float('nan')] * HORIZON))
        prediction.add_plan(plan(step, [1.0] * HORIZON, joint='knee'))
        prediction.add_plan(plan(step, []))
    assert shown(prediction) == {-1.0: (2.0, pytest.approx(float('nan'), nan_ok=True)),
                                 0.0: (2.0, pytest.approx(float('nan'), nan_ok=True))}


def test_a_position_of_the_base_is_that_of_odometry():
    prediction = Prediction('rootz position')
    prediction.add_state(state(0, hip=1.0), {'rootz': 1.25})
    assert shown(prediction)[0.0][0] == 1.25


def test_a_gap_reaches_the_chart_as_none_as_it_knows_no_nan():
    server = viser.ViserServer(port=0, verbose=False)
    try:
        plot = line_plot(server.gui, 'some', 'a', 'b', span=4.0)
        draw_lines(plot, np.array([-1.0, 0.0]), np.array([np.nan, 3.0]), np.array([1.0, 2.0]))
        assert plot.data == [[-1.0, 0.0], [None, 3.0], [1.0, 2.0]]
    finally:
        server.stop()
