"""Parts of the sentences that refuse a weight file; what the file itself says is cut and escaped in them."""

from __future__ import annotations

import os
from collections.abc import Iterable

from cellmotion_jax.errors import InputError

MOST_NAMED = 12  # Tensors named in a refusal before it says how many more there are.
MOST_SHOWN = 80  # Characters of a name or a value of a file that are shown.


def damaged(path: str | os.PathLike[str], reason: object) -> InputError:
    """The error for a file whose bytes are not what they should be.

    Args:
        path: The file.
        reason: What is wrong, such as an exception of the library that read it.

    Returns:
        The error to raise.
    """
    said = plain(str(reason).strip() or type(reason).__name__)
    return InputError(f"{path} is truncated or damaged ({said}); copy it again from where it came.")


def plain(text: str) -> str:
    """The first line of a text as a part of a sentence: cut, and without characters that control a terminal.

    >>> plain("no such key: 'a'" + chr(27) + "[31m" + chr(10) + "in line 3")
    "no such key: 'a'?[31m"
    """
    first = text.lstrip().split("\n", 1)[0][: 2 * MOST_SHOWN + 1].rstrip(".")
    shown = "".join(letter if letter.isprintable() else "?" for letter in first)
    return shown if len(shown) <= 2 * MOST_SHOWN else shown[: 2 * MOST_SHOWN] + "..."


def quoted(name: object) -> str:
    """A name or value of a file in quotation marks, as a part of a sentence.

    >>> quoted("stem/kernel"), len(quoted("x" * 1000))
    ("'stem/kernel'", 85)
    """
    text = str(name)
    return repr(text) if len(text) <= MOST_SHOWN else f"{text[:MOST_SHOWN]!r}..."


def some_names(names: Iterable[str]) -> str:
    """The first names of a list as a part of a sentence, and how many more there are."""
    names = list(names)
    more = f", and {len(names) - MOST_NAMED} more" if len(names) > MOST_NAMED else ""
    return ", ".join(plain(name)[:MOST_SHOWN] for name in names[:MOST_NAMED]) + more
