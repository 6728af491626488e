"""Build entry for packaging tools that do not read pyproject.toml themselves."""

from setuptools import setup

setup()
