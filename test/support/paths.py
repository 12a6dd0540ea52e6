"""Where the checkout is."""

from pathlib import Path

SOURCE = Path(__file__).resolve().parents[2]
