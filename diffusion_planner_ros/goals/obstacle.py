# Copyright 2026 diffusion_planner_ros developers
# SPDX-License-Identifier: Apache-2.0
"""Obstacles in the plane: discs and boxes, and how far points are from them."""

from collections.abc import Sequence
from dataclasses import dataclass
import math

import numpy as np
from numpy.typing import NDArray

TINY = 1e-9  # [m], where no direction leads away


@dataclass(frozen=True)
class Disc:
    """A disc, as the foot of a cylinder that stands upright."""

    centre: tuple[float, float]
    """[m]."""
    radius: float
    """[m]."""

    def distance(self, points: NDArray) -> tuple[NDArray, NDArray]:
        """
        Return signed distances from the edge [m], below 0 inside, and their gradients.

        :param points: [m], shape (..., 2).
        :return: shapes (...,) and (..., 2); the gradient has length 1 and points outwards.
        """
        away = points - np.array(self.centre)
        length = np.linalg.norm(away, axis=-1)
        return length - self.radius, away / np.maximum(length, TINY)[..., None]


@dataclass(frozen=True)
class Box:
    """A rectangle, as the foot of a box that stands upright."""

    centre: tuple[float, float]
    """[m]."""
    half: tuple[float, float]
    """Half of its sides [m]."""
    yaw: float = 0.0
    """How far its first side is turned from x towards y [rad]."""

    def distance(self, points: NDArray) -> tuple[NDArray, NDArray]:
        """Return signed distances and their gradients, as ``Disc.distance``."""
        sine, cosine = math.sin(self.yaw), math.cos(self.yaw)
        axes = np.array([[cosine, -sine], [sine, cosine]])  # its sides, as columns
        local = (points - np.array(self.centre)) @ axes
        beyond = np.abs(local) - np.array(self.half)  # of each pair of sides, (..., 2)
        outside = np.maximum(beyond, 0.0)
        length = np.linalg.norm(outside, axis=-1)
        is_inside = length < TINY
        nearest = np.eye(2)[beyond.argmax(axis=-1)]  # the side to leave by, from inside
        gradient = np.where(is_inside[..., None], nearest,
                            outside / np.maximum(length, TINY)[..., None])
        distance = np.where(is_inside, beyond.max(axis=-1), length)
        return distance, gradient * np.where(local < 0, -1.0, 1.0) @ axes.T


Obstacle = Disc | Box


def nearest_obstacle(obstacles: Sequence[Obstacle], points: NDArray) -> tuple[NDArray, NDArray]:
    """
    Return the signed distance of points from the nearest of several obstacles, and its gradient.

    :param obstacles: at least one.
    :param points: [m], shape (..., 2).
    :return: [m], shape (...,), and shape (..., 2).
    """
    distance, gradient = obstacles[0].distance(points)
    for obstacle in obstacles[1:]:
        other, other_gradient = obstacle.distance(points)
        is_nearer = other < distance
        distance = np.where(is_nearer, other, distance)
        gradient = np.where(is_nearer[..., None], other_gradient, gradient)
    return distance, gradient
