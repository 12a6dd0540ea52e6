# Copyright 2026 diffusion_planner_ros developers
# SPDX-License-Identifier: Apache-2.0
"""Plans as messages for rviz2: markers and a path, in the frame of the URDF's root link."""

from collections.abc import Mapping, Sequence
import re

from geometry_msgs.msg import Point, PoseStamped, Quaternion
from nav_msgs.msg import Path
import numpy as np
from numpy.typing import NDArray
from std_msgs.msg import ColorRGBA, Header
from visualization_msgs.msg import Marker, MarkerArray

from ...messages.stamps import NANOSECONDS, nanoseconds_from_stamp
from ...planning.planner import Plan
from ...robot import Robot
from ...urdf_tree import MOVING, transformed, Urdf
from ..common.conversions import joint_positions, stamp_from_nanoseconds

# Namespaces, in the order of drawing.
EXECUTED, GHOSTS, CHOSEN, CANDIDATES = 'executed', 'ghosts', 'chosen plan', 'candidates'
DENOISING, DENOISING_TIME = 'denoising', 'denoising time'
# From worst to best: the colour map plasma of matplotlib (CC0) without its ends, which cannot be
# seen on a dark or a white background.
VALUE_COLORS = np.array([[0.42, 0.00, 0.66], [0.69, 0.16, 0.56], [0.88, 0.39, 0.38],
                         [0.99, 0.65, 0.21]])
CHOSEN_COLOR = np.array([0.00, 0.62, 0.45])
EXECUTED_COLOR = np.array([0.45, 0.50, 0.58])
THIN, MEDIUM, THICK = 0.003, 0.006, 0.014  # [m]
N_GHOSTS = 4
MAX_DRAWN = 32  # candidates; to draw hundreds would slow the inference
TEXT_HEIGHT = 0.12  # [m]
TEXT_ABOVE = 0.45  # [m] over the torso


def value_colors(values: NDArray) -> NDArray:
    """
    Return a colour for every value: ``VALUE_COLORS`` from the smallest to the largest value.

    :param values: shape (N,).
    :return: red, green, blue from 0 to 1, shape (N, 3).
    """
    span = np.ptp(values)
    share = (values - values.min()) / span if span > 0 else np.ones(len(values))
    stops = np.linspace(0.0, 1.0, len(VALUE_COLORS))
    return np.stack([np.interp(share, stops, channel) for channel in VALUE_COLORS.T], axis=-1)


def delete_all(header: Header) -> MarkerArray:
    """Return the message that deletes all markers."""
    return MarkerArray(markers=[Marker(header=header, action=Marker.DELETEALL)])


def plan_markers(plan: Plan, robot: Robot, urdf: Urdf, start: Mapping[str, float],
                 executed: Sequence[Mapping[str, float]], header: Header) -> MarkerArray:
    """
    Draw the candidates, the chosen one with the robot along it, and the executed path.

    Of more than ``MAX_DRAWN`` candidates, some are drawn, at equal distances in the order of their
    values, worst and best included. The text of a candidate's lines is its value, and that of the
    chosen lines is the name of their link.

    :param start: measured positions of all joints [m, rad].
    :param executed: measured positions of the past, oldest first.
    :param header: with the time and the frame of all markers.
    """
    markers = delete_all(header).markers
    poses = _poses(urdf, plan.candidates[..., plan.action_dim:], robot, start)
    best = {link: (rotation[plan.best], translation[plan.best])
            for link, (rotation, translation) in poses.items()}
    markers += _executed(urdf, [*executed, start], header)
    markers += _ghosts(urdf, best, header, n=N_GHOSTS)
    markers += _chosen(urdf, best, header)
    markers += _candidates(urdf, poses, plan.values, header, CANDIDATES)
    return MarkerArray(markers=markers)


def denoising_markers(states: NDArray, plan: Plan, t: int, n_steps: int, robot: Robot,
                      urdf: Urdf, start: Mapping[str, float], header: Header) -> MarkerArray:
    """
    Draw the candidates at one step of the denoising; at the end, the chosen one as a plan.

    :param states: of x_t [SI], shape (N, H, S).
    :param plan: what they become; its values give the colours.
    :param t: diffusion time, from T of pure noise to 0.
    :param n_steps: diffusion steps of the model, T.
    :param start: measured positions of all joints [m, rad].
    :param header: with the time and the frame of all markers.
    """
    markers = delete_all(header).markers
    poses = _poses(urdf, states, robot, start)
    best = {link: (rotation[plan.best], translation[plan.best])
            for link, (rotation, translation) in poses.items()}
    # All begin at the measured state, which is where a skeleton is drawn while the rest is noise.
    markers += _ghosts(urdf, best, header, n=N_GHOSTS if t == 0 else 1)
    if t == 0:
        markers += _chosen(urdf, best, header)
    markers += _candidates(urdf, poses, plan.values, header, DENOISING)
    torso = next(iter(urdf.traced))
    above = poses[torso][1].reshape(-1, 3)[0] + [0.0, 0.0, TEXT_ABOVE]
    text = Marker(header=header, ns=DENOISING_TIME, type=Marker.TEXT_VIEW_FACING,
                  text=f't = {t} of {n_steps}', color=_rgba(EXECUTED_COLOR, 1.0))
    text.pose.position = _point(above.tolist())
    text.scale.z = TEXT_HEIGHT
    return MarkerArray(markers=[*markers, text])


def diffusion_time(array: MarkerArray) -> tuple[int, int] | None:
    """Return t and T of markers from ``denoising_markers``, ``None`` of any others."""
    text = next((m.text for m in array.markers if m.ns == DENOISING_TIME), '')
    found = re.fullmatch(r't = (\d+) of (\d+)', text)
    return None if found is None else (int(found[1]), int(found[2]))


def plan_path(plan: Plan, robot: Robot, urdf: Urdf, start: Mapping[str, float], header: Header
              ) -> Path:
    """
    Return the poses of the torso along the chosen candidate, each with its time.

    :param start: measured positions of all joints [m, rad].
    :param header: with the time of the state that the plan starts from, and the frame.
    """
    torso = next(iter(urdf.traced))
    poses = _poses(urdf, plan.states, robot, start)
    rotations, translations = poses[torso]
    begin = nanoseconds_from_stamp(header.stamp)
    path = Path(header=header)
    for k, (rotation, translation) in enumerate(zip(rotations, translations, strict=True)):
        at = begin + round(k * robot.control_period * NANOSECONDS)
        pose = PoseStamped(header=Header(frame_id=header.frame_id,
                                         stamp=stamp_from_nanoseconds(at)))
        pose.pose.position = _point(translation.tolist())
        pose.pose.orientation = _quaternion(rotation)
        path.poses.append(pose)
    return path


def header_at(stamp: int, frame_id: str) -> Header:
    """Return a header of a time [ns] and a frame."""
    return Header(frame_id=frame_id, stamp=stamp_from_nanoseconds(stamp))


def _poses(urdf: Urdf, states: NDArray, robot: Robot, start: Mapping[str, float]
           ) -> dict[str, tuple[NDArray, NDArray]]:
    """
    Return the poses of all links along planned states (..., H, S).

    Joints that the state does not have stay where they are measured.
    """
    return urdf.link_poses({**start, **joint_positions(states, robot, start)})


def _executed(urdf: Urdf, executed: Sequence[Mapping[str, float]], header: Header
              ) -> list[Marker]:
    """Draw where the links were; a state in which a joint was not measured is left out."""
    needed = {joint.name for joint in urdf.joints if joint.type in MOVING}
    known = [positions for positions in executed if positions.keys() >= needed]
    if len(known) < 2:
        return []  # a line needs two points
    poses = urdf.link_poses({joint: np.array([positions[joint] for positions in known])
                             for joint in needed})
    fading = _fading(EXECUTED_COLOR, np.linspace(0.1, 0.9, len(known)))
    return [_lines(header, EXECUTED, i, transformed(poses[link], point), EXECUTED_COLOR, MEDIUM,
                   colors=fading)
            for i, (link, point) in enumerate(urdf.traced.items())]


def _chosen(urdf: Urdf, poses: Mapping[str, tuple[NDArray, NDArray]], header: Header
            ) -> list[Marker]:
    return [_lines(header, CHOSEN, i, transformed(poses[link], point), CHOSEN_COLOR, THICK,
                   text=link)
            for i, (link, point) in enumerate(urdf.traced.items())]


def _candidates(urdf: Urdf, poses: Mapping[str, tuple[NDArray, NDArray]], values: NDArray,
                header: Header, namespace: str) -> list[Marker]:
    """Draw the best candidate last, so that it lies on top."""
    colors = value_colors(values)
    order = np.argsort(values)
    if len(order) > MAX_DRAWN:
        order = order[np.linspace(0, len(order) - 1, MAX_DRAWN).round().astype(int)]
    paths = [transformed(poses[link], point) for link, point in urdf.traced.items()]
    return [_lines(header, namespace, len(paths) * int(n) + i, path[n], colors[n], THIN,
                   text=f'{values[n]:.9g}')
            for n in order for i, path in enumerate(paths)]


def _ghosts(urdf: Urdf, poses: Mapping[str, tuple[NDArray, NDArray]], header: Header, *,
            n: int) -> list[Marker]:
    """Draw the skeleton at up to ``n`` times of a plan, later ones fainter."""
    skeleton = np.concatenate([transformed(poses[link], ends).reshape(
        len(poses[link][1]), -1, 3) for link, ends in urdf.segments.items()], axis=1)
    times = np.unique(np.linspace(0, len(skeleton) - 1, n).round().astype(int))
    alphas = np.linspace(0.8, 0.2, len(times))
    return [_lines(header, GHOSTS, int(k), skeleton[k], CHOSEN_COLOR, MEDIUM, alpha=alpha,
                   kind=Marker.LINE_LIST)
            for k, alpha in zip(times, alphas, strict=True)]


def _lines(header: Header, namespace: str, number: int, points: NDArray, color: NDArray,
           width: float, *, alpha: float = 1.0, colors: Sequence[ColorRGBA] = (),
           kind: int = Marker.LINE_STRIP, text: str = '') -> Marker:
    """Draw lines through points (n, 3) [m], each point with a colour of its own if given."""
    marker = Marker(header=header, ns=namespace, id=number, type=kind, text=text,
                    points=[_point(p) for p in points.tolist()], colors=colors,
                    color=_rgba(color, float(alpha)))
    marker.scale.x = width
    return marker


def _point(xyz: Sequence[float]) -> Point:
    return Point(x=xyz[0], y=xyz[1], z=xyz[2])


def _rgba(color: NDArray, alpha: float) -> ColorRGBA:
    r, g, b = color.tolist()
    return ColorRGBA(r=r, g=g, b=b, a=alpha)


def _fading(color: NDArray, alphas: NDArray) -> list[ColorRGBA]:
    return [_rgba(color, alpha) for alpha in alphas.tolist()]


def _quaternion(rotation: NDArray) -> Quaternion:
    """
    Return a rotation matrix (3, 3) as a quaternion.

    Bar-Itzhack (2000), https://doi.org/10.2514/2.4654: it is an eigenvector, which needs no
    special case for any angle.
    """
    (xx, xy, xz), (yx, yy, yz), (zx, zy, zz) = rotation
    matrix = np.array([[xx - yy - zz, 0.0, 0.0, 0.0], [yx + xy, yy - xx - zz, 0.0, 0.0],
                       [zx + xz, zy + yz, zz - xx - yy, 0.0],
                       [zy - yz, xz - zx, yx - xy, xx + yy + zz]])
    x, y, z, w = np.linalg.eigh(matrix)[1][:, -1].tolist()  # reads the lower triangle
    sign = -1.0 if w < 0 else 1.0
    return Quaternion(x=sign * x, y=sign * y, z=sign * z, w=sign * w)
