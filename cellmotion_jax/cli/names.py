"""Names that the user writes and that may be misspelt."""

from __future__ import annotations

import difflib
from collections.abc import Sequence

from cellmotion_jax.errors import InputError


def closest(name: str, known: Sequence[str], *, kind: str) -> str:
    """Returns a name that is known.

    Args:
        name: What the user wrote.
        known: What there is.
        kind: Of what it is the name, such as "command".

    Raises:
        InputError: If it is not known; the most similar one is suggested.
    """
    if name in known:
        return name
    near = difflib.get_close_matches(name, known, n=1, cutoff=0.0)[0]
    raise InputError(f"There is no {kind} {name!r}; did you mean {near!r}? Known: {', '.join(known)}.")
