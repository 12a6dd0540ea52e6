"""The command line: ``diffusion_planner VERB``."""

import sys

from .commands.collect import collect
from .commands.export import export
from .commands.train import train
from .errors import PlannerError

VERBS = {'collect': collect, 'train': train, 'export': export}


def main() -> None:
    """Run one verb; a fault that a user can mend is printed without a traceback."""
    try:
        import tyro
    except ImportError:
        sys.exit("diffusion_planner: the command line needs tyro; pip install "
                 "'diffusion_planner_ros[sim]'")
    try:
        tyro.extras.subcommand_cli_from_dict(VERBS, prog='diffusion_planner',
                                             description=__doc__,
                                             config=(tyro.conf.OmitArgPrefixes,))
    except PlannerError as error:
        sys.exit(f'diffusion_planner: {error}')
    except ModuleNotFoundError as error:
        sys.exit(f"diffusion_planner: this verb needs '{error.name}', which is not installed; "
                 "pip install 'diffusion_planner_ros[sim,train,ros]' has everything")


if __name__ == '__main__':
    main()
