# Copyright 2026 diffusion_planner_ros developers
# SPDX-License-Identifier: Apache-2.0
"""The command line: ``diffusion_planner VERB``."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
import os
import signal
import sys
from typing import NoReturn

from ..errors import PlannerError
from .interrupted import EXIT_CODE

ABOUT = (
    'Diffusion planning on ROS 2: from recorded data to joint torques. To see it: walk. A robot '
    'of your own: new-robot, then collect or import, train, export, evaluate, walk. Each has a '
    'help of its own: diffusion_planner VERB --help')


def verbs() -> dict[str, Callable[..., None]]:
    """Return what a user can ask for, by name; imported only now, as it takes a while."""
    from .figures.compounding import compounding
    from .figures.gaits import gaits
    from .figures.overestimation import overestimation
    from .figures.torques import torques
    from .inspect.animate import animate
    from .inspect.info import info
    from .inspect.new_robot import new_robot
    from .inspect.report import report
    from .inspect.snapshot import snapshot
    from .inspect.urdf import urdf
    from .learn.align import align
    from .learn.calibrate import calibrate
    from .learn.collect import collect
    from .learn.export import export
    from .learn.import_recording import import_recording
    from .learn.study import study
    from .learn.train import train
    from .measure.benchmark import benchmark
    from .measure.compare import compare
    from .measure.diagnose import diagnose
    from .measure.endure import endure
    from .measure.evaluate import evaluate
    from .measure.goals import goals
    from .measure.reach import reach
    from .measure.robustness import robustness
    from .measure.soak import soak
    from .measure.speeds import speeds
    from .view import view
    from .walk import walk

    return {'walk': walk, 'view': view, 'evaluate': evaluate, 'diagnose': diagnose,
            'robustness': robustness, 'endure': endure, 'benchmark': benchmark,
            'compare': compare, 'goals': goals, 'reach': reach, 'speeds': speeds, 'info': info,
            'collect': collect, 'import': import_recording, 'train': train, 'align': align,
            'study': study, 'export': export, 'calibrate': calibrate, 'report': report,
            'new-robot': new_robot, 'urdf': urdf, 'snapshot': snapshot, 'animate': animate,
            'soak': soak, 'overestimation': overestimation, 'torques': torques,
            'compounding': compounding, 'gaits': gaits}


def main() -> None:
    """Run one verb; a fault that a user can mend is printed without a traceback."""
    # Videos are drawn by processes of their own. With OpenGL, mujoco imports glfw, which starts a
    # process to look at its library, and Ctrl-C makes that one print a traceback.
    os.environ.setdefault('MUJOCO_GL', 'disable')
    try:
        with _quickly_interrupted():
            import tyro

            from .preset_option import with_preset

            known = with_preset(verbs(), sys.argv[1:])
        tyro.extras.subcommand_cli_from_dict(known, prog='diffusion_planner', description=ABOUT)
        sys.stdout.flush()
    except PlannerError as error:
        sys.exit(f'diffusion_planner: {error}')
    except KeyboardInterrupt as error:
        _exit_interrupted(str(error))
    except BrokenPipeError:
        # Whoever read our output has seen enough; keep Python from flushing once more.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except ImportError as error:
        if _is_interrupt(error):
            _exit_interrupted()
        if not isinstance(error, ModuleNotFoundError):
            raise
        sys.exit(f"diffusion_planner: '{error.name}' is not installed, and this verb needs it; "
                 "pip install 'diffusion_planner_ros[sim,train,ros,view,recordings]' has all that "
                 'any verb needs')


@contextmanager
def _quickly_interrupted() -> Iterator[None]:
    """Let Ctrl-C end the process at once: libraries in C print a traceback while they load."""
    if signal.getsignal(signal.SIGINT) is not signal.default_int_handler:
        yield  # deaf, as jobs in the background of a shell are, or somebody else's
        return

    def leave(*_: object) -> NoReturn:
        os.write(2, b'diffusion_planner: interrupted\n')
        os._exit(EXIT_CODE)
    signal.signal(signal.SIGINT, leave)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def _exit_interrupted(remedy: str = '') -> NoReturn:
    # A process that cannot end at once, as workers may, does not keep us from saying it.
    print(f'diffusion_planner: interrupted{remedy and f"; {remedy}"}', file=sys.stderr, flush=True)
    sys.exit(EXIT_CODE)


def _is_interrupt(error: BaseException | None) -> bool:
    """Whether Ctrl-C is behind it: modules in C make other errors of that."""
    return error is not None and (
        isinstance(error, KeyboardInterrupt) or _is_interrupt(error.__cause__))


if __name__ == '__main__':
    main()
