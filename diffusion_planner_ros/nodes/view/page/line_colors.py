# Copyright 2026 diffusion_planner_ros developers
# SPDX-License-Identifier: Apache-2.0
"""Colours of lines, such that the browser shows them as they are meant."""

import numpy as np
from numpy.typing import NDArray

# viser hands the colours of lines to three.js as amounts of light, which three.js then maps to a
# screen as a film would, pale: ``ACESFilmicToneMapping``, with these numbers.
FROM_LIGHT = np.array([[0.59719, 0.35458, 0.04823], [0.07600, 0.90834, 0.01566],
                       [0.02840, 0.13383, 0.83777]])
TO_SCREEN = np.array([[1.60475, -0.53108, -0.07367], [-0.10208, 1.10813, -0.00605],
                      [-0.00327, -0.07276, 1.07602]])
FILM = (0.0245786, 0.000090537, 0.983729, 0.4329510, 0.238081)
EXPOSURE = 0.6


def line_colors(colors: NDArray) -> NDArray:
    """
    Return what viser has to be told so that lines look as these colours do elsewhere (sRGB).

    :param colors: red, green, blue from 0 to 255, shape (..., 3).
    :return: uint8 of the same shape; the brightest colours, beyond what it takes, are duller.
    """
    share = colors / 255
    light = np.where(share > 0.04045, ((share + 0.055) / 1.055) ** 2.4, share / 12.92)
    filmed = np.linalg.solve(TO_SCREEN, light[..., None])[..., 0]
    # Each is (v (v + a) - b) / (v (c v + d) + e) of some v: a quadratic equation.
    a, b, c, d, e = FILM
    first, half = 1 - c * filmed, (a - d * filmed) / 2
    v = (np.sqrt(half ** 2 + first * (b + e * filmed)) - half) / first
    needed = EXPOSURE * np.linalg.solve(FROM_LIGHT, v[..., None])[..., 0]
    return (255 * needed).round().clip(0, 255).astype(np.uint8)
