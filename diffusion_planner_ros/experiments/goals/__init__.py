"""Goals: how near plans lead robots to them."""
