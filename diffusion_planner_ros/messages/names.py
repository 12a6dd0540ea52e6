"""Names that a message contains, as a text for people."""

from collections.abc import Sequence

N_NAMED = 30  # names that a text lists, of however many there are
LONGEST_NAME = 40  # characters of each


def shortened(names: Sequence[str]) -> str:
    """Return names as one text of limited length, whatever a message contains."""
    shown = [n if len(n) <= LONGEST_NAME else f'{n[:LONGEST_NAME]}...' for n in names[:N_NAMED]]
    if len(names) > N_NAMED:
        shown.append(f'{len(names) - N_NAMED} more')
    return ', '.join(shown)
