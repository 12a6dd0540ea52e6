"""Sessions of both nodes in processes of their own, driven and watched from outside."""
