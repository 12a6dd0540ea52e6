# Copyright 2026 diffusion_planner_ros developers
# SPDX-License-Identifier: Apache-2.0
"""Buttons and inputs: each is one call of a service, one parameter or one message."""

from collections.abc import Callable
import time
from typing import Any

import viser

from ....planning.samplers import SAMPLERS
from ..robot_controls import RobotControls
from ..verdict import number_in, Report
from .scene import Scene
from .words import impulse_words, note, push_words

STRENGTH = 3.0  # [N s] of a push; the walker falls at some of 8
SPEEDS = (-1.0, 3.0)  # [m/s]
DIRECTIONS = {'backward': (-1.0, 0.0), 'up': (0.0, 1.0), 'forward': (1.0, 0.0)}
# [s] without another key after which a value is asked for, and an empty field is filled again.
TYPING_TIME, EMPTY_TIME = 0.5, 2.0
Act = Callable[[Callable[[], None]], None]
"""Lets the thread of the executor call something."""

NUMBERS = {'n_candidates': (int, 'a whole number'), 'n_denoise_steps': (int, 'a whole number'),
           'guidance_strength': (float, 'a number')}
ABOUT_DRAG = 'Drag the robot to push it. Drag elsewhere to turn the view.'
HINTS = {
    'n_candidates': 'Plans that are made together; the best one is chosen.',
    'n_denoise_steps': 'Steps from noise to plan.',
    'guidance_strength': 'How strongly preferences push plans while they are denoised; 0: not.',
    'bundle': 'Its whole path, or the path from where the planner was started.'}
ABOUT_BUNDLES = ('A bundle is the folder of a trained model. To use another one of this robot, '
                 "type its path on the planner's machine, and load it. The robot goes on with the "
                 'old one until the new one is loaded and checked.')


class ControlPanel:
    """
    The inputs of the panel at the right.

    :param scene: on whose ground goals are picked.
    :param act: functions of viser's threads hand over to it what is to be done.
    """

    def __init__(self, server: viser.ViserServer, scene: Scene, controls: RobotControls,
                 act: Act) -> None:
        self._server = server
        self._scene = scene
        self._controls = controls
        self._act = act
        self._is_paused = False
        self._mass = 0.0
        self._shown: dict[str, str] = {}  # parameters as the planner has reported them
        # What was typed, and when to ask for it, so that not every key asks; None once asked.
        self._wanted: dict[str, tuple[Any, float | None]] = {}
        # What became of the last thing that was asked for, beside what asks for it.
        self._told: dict[str, viser.GuiHtmlHandle] = {}
        self._notices: list[viser.NotificationHandle] = []
        gui = server.gui
        self._simulation = gui.add_folder('Simulation')
        with self._simulation:
            self._pause = gui.add_button('Pause', icon=viser.Icon.PLAYER_PAUSE)
            self._reset = gui.add_button('Start again', icon=viser.Icon.REFRESH)
            self._strength = gui.add_slider('Push [N s]', 0.5, 20.0, 0.5, STRENGTH)
            self._about_push = gui.add_html('')
            self._push = gui.add_button_group('Push it', tuple(DIRECTIONS))
            self._told['simulation'] = gui.add_html('')
            gui.add_html(note(ABOUT_DRAG))
        self._speed_folder = gui.add_folder('Commanded speed', visible=False)
        with self._speed_folder:
            self._has_speed = gui.add_checkbox('command it', False)
            self._speed = gui.add_slider('Speed [m/s]', *SPEEDS, 0.1, 1.0)
        self._goal_folder = gui.add_folder('Goal', visible=False)
        with self._goal_folder:
            self._goal = gui.add_vector2('x, y [m]', (0.0, 0.0), step=0.1)
            self._go = gui.add_button_group('Goal', ('go there', 'give up'))
            self._pick = gui.add_button('Click on the ground', icon=viser.Icon.MAP_PIN)
            self._told['goal'] = gui.add_html('')
            self._result = gui.add_html('')
        with gui.add_folder('Planner'):
            self._inputs: dict[str, Any] = {
                # Texts: inputs for numbers do not tell us that something else was typed.
                'n_candidates': gui.add_text('candidates', '', hint=HINTS['n_candidates']),
                'n_denoise_steps': gui.add_text('denoising steps', '',
                                                hint=HINTS['n_denoise_steps']),
                'sampler': gui.add_dropdown('sampler', tuple(SAMPLERS)),
                'guidance_strength': gui.add_text('guidance strength', '',
                                                  hint=HINTS['guidance_strength'])}
            self._told['planner'] = gui.add_html('')
            self._inputs['bundle'] = gui.add_text('model bundle', '', hint=HINTS['bundle'])
            self._load = gui.add_button('Load this bundle')
            gui.add_html(note(ABOUT_BUNDLES))
        self._connect()

    # What the node tells

    def turn(self, now: float) -> None:
        """Ask for what was typed; call it often."""
        for name, (value, due) in self._wanted.copy().items():
            if due is not None and now >= due:
                self._ask(name, value)

    def refresh(self, planner: Report, bridge: Report) -> None:
        """Show what can be controlled, and the settings in use."""
        controls = self._controls
        self._simulation.visible = controls.is_simulated
        self._speed_folder.visible = controls.takes_speeds and _follows_speed(planner.facts)
        self._goal_folder.visible = controls.knows_goals
        period = number_in(planner.facts, 'control_period')
        self._about_push.content = note(push_words(self._strength.value, self._mass, period))
        if bridge.state:
            self._set_paused(bridge.state == 'paused')
        for name, handle in self._inputs.items():
            text = planner.facts.get(name)
            # A value that is being typed stays, unless the planner has changed its own.
            if text is not None and name not in self._wanted and text != self._shown.get(name):
                self._shown[name] = text
                self._put(name, handle)

    def tell_mass(self, mass: float) -> None:
        """Take the mass of the robot [kg]; 0 if nobody knows."""
        self._mass = mass

    def tell_result(self, text: str) -> None:
        """Show how the last goal ended."""
        self._result.content = note(text, is_bad='refused' in text or 'given up' in text)

    def _put(self, name: str, handle: Any) -> None:
        """Show a parameter as it is reported."""
        text = self._shown.get(name)
        if text is None:
            return
        try:
            handle.value = text
        except ValueError:  # a sampler that this version does not know
            return

    def _set_paused(self, is_paused: bool) -> None:
        if is_paused != self._is_paused:
            self._is_paused = is_paused
            self._pause.label = 'Go on' if is_paused else 'Pause'
            self._pause.icon = (viser.Icon.PLAYER_PLAY if is_paused else
                                viser.Icon.PLAYER_PAUSE)

    # What a person does; viser calls these in threads of its own

    def _connect(self) -> None:
        self._pause.on_click(lambda event: self._act(self._toggle_pause))
        self._reset.on_click(lambda event: self._act(self._do_reset))
        self._push.on_click(lambda event: self._act(
            lambda: self._do_push(*DIRECTIONS[event.target.value])))
        self._scene.let_drag(lambda x, z: self._act(lambda: self._do_push(x, z)))
        for handle in (self._has_speed, self._speed):
            handle.on_update(lambda event: self._act(self._do_speed))
        self._go.on_click(lambda event: self._act(lambda: self._do_goal(event.target.value)))
        self._pick.on_click(lambda event: self._scene.pick(self._on_picked))
        for name, handle in self._inputs.items():
            if name != 'bundle':
                handle.on_update(self._setter(name))
        self._load.on_click(lambda event: self._act(
            lambda: self._ask('bundle', self._inputs['bundle'].value)))

    def _setter(self, name: str) -> Callable[[Any], None]:
        def on_update(event: Any) -> None:
            if event.client is not None:  # otherwise it was us
                value = event.target.value
                self._act(lambda: self._do_set(name, value))
        return on_update

    def _on_picked(self, x: float, y: float) -> None:
        # A hint of viser's hides that it can be set.
        self._goal.value = round(x, 3), round(y, 3)  # type: ignore[misc]
        self._act(lambda: self._do_goal('go there'))

    # The same in the thread of the executor

    def _toggle_pause(self) -> None:
        wanted = not self._is_paused

        def tell(is_done: bool, text: str) -> None:
            if is_done:
                self._set_paused(wanted)
            self._tell('pause' if wanted else 'go on', 'simulation', is_done, text)
        self._controls.pause(wanted, tell)

    def _do_reset(self) -> None:
        self._controls.reset(lambda is_done, text: self._tell(
            'start again', 'simulation', is_done, f'started again, {text}' if is_done else text))

    def _do_push(self, x: float, z: float) -> None:
        strength = float(self._strength.value)
        words = impulse_words(strength * x, strength * z)

        def tell(is_done: bool, text: str) -> None:
            if is_done:
                text = f'{text}{" when it goes on" if self._is_paused else ""}: {words}'
            self._tell('push', 'simulation', is_done, text)
        self._controls.push(strength * x, strength * z, tell)

    def _do_speed(self) -> None:
        self._controls.command_speed(float(self._speed.value) if self._has_speed.value else None)

    def _do_goal(self, what: str) -> None:
        self._result.content = ''  # of the goal before
        if what == 'give up':
            self._controls.give_up(self._teller('goal', 'goal'))
        else:
            x, y = self._goal.value
            self._controls.go_to(x, y, '', self._teller('goal', 'goal'))

    def _do_set(self, name: str, value: Any) -> None:
        self._wanted[name] = value, time.monotonic() + (TYPING_TIME if value else EMPTY_TIME)

    def _ask(self, name: str, typed: str) -> None:
        self._wanted[name] = typed, None
        kind, what = NUMBERS.get(name, (str, 'a text'))

        def tell(is_done: bool, text: str) -> None:
            if self._wanted.get(name) == (typed, None):
                del self._wanted[name]
                if is_done:
                    self._shown[name] = str(kind(typed))
                self._put(name, self._inputs[name])
            self._tell(name, 'planner', is_done, text)
        try:
            value = kind(typed)
        except ValueError:
            tell(False, f"{name} is '{typed}', expected {what}")
            return
        self._controls.set_planner(name, value, tell)

    def _teller(self, what: str, place: str) -> Callable[[bool, str], None]:
        return lambda is_done, text: self._tell(what, place, is_done, text)

    def _tell(self, what: str, place: str, is_done: bool, text: str) -> None:
        """Say what became of something; what was said before is of the past."""
        for told in self._told.values():
            told.content = ''
        self._told[place].content = note(text if is_done else f'{what} refused: {text}',
                                         is_bad=not is_done)
        for notice in self._notices:
            notice.remove()
        self._notices = [] if is_done else [
            client.add_notification(f'{what}: refused', text, color='red', auto_close_seconds=8.0)
            for client in self._server.get_clients().values()]


def _follows_speed(facts: dict[str, str]) -> bool:
    """Whether the planner can be told a speed: by guide ``speed``, or by a weight of returns."""
    return 'speed' in facts.get('guides', '') or number_in(facts, 'return_weight') > 0
