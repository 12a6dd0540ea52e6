"""The page that shows a robot in a browser: what it draws, and what it calls."""
