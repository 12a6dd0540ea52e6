# Copyright 2026 diffusion_planner_ros developers
# SPDX-License-Identifier: Apache-2.0
"""The whole page."""

from collections.abc import Mapping
import time

from ..robot.link_shapes import Color
from ..robot.robot_model import RobotModel
from ..robot_controls import RobotControls
from ..verdict import Verdict
from ..viewer_config import ViewerConfig
from .control_panel import Act, ControlPanel
from .denoising_panel import DenoisingPanel
from .health_panel import HealthPanel, progress_of
from .scene import Scene
from .web_server import WebServer
from .words import banner, grid, legend, note, STYLE

CONTROL_WIDTH = 300  # [pixels]
OVER = Verdict('idle', 'The program has ended. This is what it showed last; when it runs again, '
               'this page goes on')
LAST_WORD = 0.2  # [s] in which viser sends it: it tells nobody when it has


class Page:
    """
    What browsers show, and what they ask for.

    :param controls: what may be done to the robot, ``None`` for nothing.
    :param act: lets the thread of the executor call something.
    :raises ConfigError: if it cannot be served where the settings say.
    """

    def __init__(self, config: ViewerConfig, controls: RobotControls | None, act: Act) -> None:
        self.server = WebServer(config, 'diffusion planner')
        gui = self.server.gui
        gui.configure_theme(show_logo=False, show_share_button=False)
        gui.main_panel.dock_right()
        gui.main_panel.set_width(CONTROL_WIDTH)
        self._verdict: tuple[Verdict, str] | None = None
        gui.add_html(STYLE)
        self._banner = gui.add_html('')
        self._progress = gui.add_html('')
        self._remarks = gui.add_html('', visible=False)
        self._legend = gui.add_html(legend({}))  # here it is seen without scrolling
        self.scene = Scene(self.server)
        self.denoising = DenoisingPanel(gui)  # on top: below the controls nobody finds it
        if controls is None:
            gui.add_html(note('Only to look at: this page changes nothing.'))
        self.controls = (None if controls is None else
                         ControlPanel(self.server, self.scene, controls, act))
        self.health = HealthPanel(self.server)
        with gui.add_folder('View'):
            follow = gui.add_checkbox('follow the robot', True)
        follow.on_update(lambda event: act(lambda: self._follow(event.target.value)))

    def show_robot(self, model: RobotModel | None) -> None:
        """Draw another robot from now on, or none."""
        self.scene.show_robot(model)
        links: dict[Color, list[str]] = {}
        for shape in () if model is None else model.shapes:
            if not shape.is_scenery:
                links.setdefault(shape.color, []).append(shape.link)
        self._legend.content = legend(links)
        if self.controls is not None:
            self.controls.tell_mass(0.0 if model is None else model.mass)

    def tell(self, verdict: Verdict, robot: str) -> None:
        """Show how the robot is."""
        if (verdict, robot) != self._verdict:
            self._verdict = verdict, robot
            self._banner.content = banner(verdict, robot)

    def tell_progress(self, facts: Mapping[str, str]) -> None:
        """Show how far a simulated robot has come."""
        self._progress.content = grid(progress_of(facts))

    def remark(self, text: str, is_bad: bool) -> None:
        """Show what cannot be drawn as it should; nothing if it is empty."""
        self._remarks.content, self._remarks.visible = note(text, is_bad=is_bad), bool(text)

    def _follow(self, is_following: bool) -> None:
        self.scene.is_following = is_following

    def close(self) -> None:
        """Say that it is over to whoever looks, and serve it no more."""
        if self.server.n_viewers:
            self.tell(OVER, '')
            self.server.flush()
            time.sleep(LAST_WORD)
        self.server.stop()
