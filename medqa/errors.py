"""The root of all errors that are said to a person."""

from __future__ import annotations


class UserError(Exception):
    """Its message is a sentence for whoever asked: what is wrong, with what value, and the way out."""
