"""Entry points of the commands: thin, with heavy imports inside functions."""
