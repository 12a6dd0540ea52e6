"""Reports of runs as one page that needs neither a network nor other files."""
