"""``diffusion_planner collect``: behaviour data for Walker2D."""

from pathlib import Path

from ..output import progress, report


def collect(
    out: Path = Path('data'),
    n_learn: int = 2_200_000,
    n_transitions: int = 300_000,
    seed: int = 0,
    json: bool = False,
) -> None:
    """
    Learn a behaviour policy with PPO and record four data sets, as Minari data sets (HDF5).

    ``medium`` comes from a policy a third to half as good as the expert, ``medium-replay`` is all
    that this policy saw while it learned, ``medium-expert`` is half medium, half expert. ``poor``
    is 50,000 transitions of a policy a sixth to a quarter as good.

    :param out: folder of the data sets; they become OUT/walker2d/NAME-v0.
    :param n_learn: transitions that PPO learns from.
    :param n_transitions: transitions of the medium data, and of the expert's half.
    :param seed: seed of learning and recording.
    :param json: print the report as JSON.
    """
    from ...sim import behaviour_data as recording
    from ...sim import behaviour_policy as behaviour

    with progress('learning to walk', n_learn, unit='steps') as advance:
        def on_learned(n_done: int, recent_return: float) -> None:
            advance(n_done - advance.n, ret=f'{recent_return:.0f}')
        learned = behaviour.learn(n_transitions=n_learn, seed=seed, on_progress=on_learned)
    n_recorded = 2 * n_transitions + min(n_transitions, recording.N_POOR_TRANSITIONS)
    with progress('recording', n_recorded, unit='steps') as advance:
        data_sets = recording.collect(learned, n_transitions=n_transitions, seed=seed,
                                      on_progress=advance)
    facts = {}
    for data in data_sets:
        folder = recording.write_data_set(out, data, seed=seed, n_learned=n_learn)
        facts[data.name] = {'folder': str(folder), 'episodes': len(data.episodes),
                            'transitions': sum(len(e) for e in data.episodes),
                            **recording.describe(data)}
    report(facts, as_json=json)
