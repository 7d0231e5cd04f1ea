"""Check of a name that the user gives, with a suggestion when it is misspelt."""

from __future__ import annotations

import difflib
from collections.abc import Sequence

from cellmotion_jax.errors import InputError


def closest(name: str, known: Sequence[str], *, kind: str) -> str:
    """Returns a name if it is one of the known names.

    Args:
        name: Name given by the user.
        known: All valid names.
        kind: Kind of thing that is named, such as "command", for the message.

    Raises:
        InputError: If the name is not known; the message suggests the most similar known name.
    """
    if name in known:
        return name
    near = difflib.get_close_matches(name, known, n=1, cutoff=0.0)[0]
    raise InputError(f"There is no {kind} {name!r}; did you mean {near!r}? Known: {', '.join(known)}.")
