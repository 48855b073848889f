"""Checks of hyperparameters, with messages of one form: ``[AdamW] lr must be >= 0, but got -1``."""

from __future__ import annotations

import math
import operator
from collections.abc import Mapping
from typing import Any


def number(where: str, name: str, value: Any) -> float:
    """``value`` as a float.

    Raises:
        TypeError: it is no number.
    """
    if type(value) is float:
        return value
    if not isinstance(value, (str, bytes, bool)):
        try:
            return float(value)
        except (TypeError, ValueError):
            pass
    raise TypeError(f"[{where}] {name} must be a number, but got {type(value).__name__}")


def at_least_zero(where: str, name: str, value: Any) -> float:
    """A finite number that is not negative."""
    x = number(where, name, value)
    if not x >= 0:
        raise ValueError(f"[{where}] {name} must be >= 0, but got {value}")
    if x == math.inf:
        raise ValueError(f"[{where}] {name} must be finite, but got {value}")
    return x


def positive(where: str, name: str, value: Any) -> float:
    """A finite number greater than zero."""
    x = number(where, name, value)
    if not 0 < x < math.inf:
        raise ValueError(f"[{where}] {name} must be > 0 and finite, but got {value}")
    return x


def below_one(where: str, name: str, value: Any) -> float:
    """A number in [0, 1)."""
    x = number(where, name, value)
    if not 0 <= x < 1:
        raise ValueError(f"[{where}] {name} must be in [0, 1), but got {value}")
    return x


def up_to_one(where: str, name: str, value: Any) -> float:
    """A number in [0, 1]."""
    x = number(where, name, value)
    if not 0 <= x <= 1:
        raise ValueError(f"[{where}] {name} must be in [0, 1], but got {value}")
    return x


def integer(where: str, name: str, value: Any, least: int) -> int:
    """An int that is at least ``least``."""
    try:
        n = operator.index(value)
    except TypeError:
        n = None
    if n is None or isinstance(value, bool):
        raise TypeError(f"[{where}] {name} must be an int, but got {type(value).__name__}")
    if n < least:
        raise ValueError(f"[{where}] {name} must be >= {least}, but got {value}")
    return n


def flag(where: str, name: str, value: Any) -> bool:
    """True or False."""
    if not isinstance(value, bool):
        raise TypeError(f"[{where}] {name} must be a bool, but got {type(value).__name__}")
    return value


def one_of(where: str, name: str, value: Any, allowed: tuple[str, ...]) -> str:
    """One of the words."""
    if value not in allowed:
        words = " or ".join(map(repr, allowed))
        raise ValueError(f"[{where}] {name} must be {words}, but got {value!r}")
    return str(value)


def saved(where: str, state: Mapping[str, Any], keys: tuple[str, ...]) -> dict[str, Any]:
    """The values of ``keys``, all of which must be there."""
    for key in keys:
        if key not in state:
            raise KeyError(f"[{where}] the state must have {key!r}")
    return {key: state[key] for key in keys}
