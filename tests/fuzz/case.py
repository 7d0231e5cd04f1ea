"""An input of the command line: how its files are made, its arguments, and what is expected of it."""

from __future__ import annotations

import dataclasses
import enum
import pathlib
from collections.abc import Callable


class Expected(enum.Enum):
    """What is right for an input."""

    REFUSED = "refused"
    """It has no meaning: one sentence, and no file."""
    FINE = "fine"
    """It has a meaning: a whole result."""
    EITHER = "either"
    """A sentence, or a result without NaN: a byte that was flipped may do no harm."""


class Outcome(enum.Enum):
    """How a command ended. The first two are good, and nothing else is."""

    FINE = "fine"
    SENTENCE = "sentence"
    TAKEN = "taken"
    """Exit code 0, though the input has no meaning."""
    REFUSED = "sound input refused"
    BAD_OUTPUT = "bad output"
    """Exit code 0, but a table has NaN or a file cannot be read."""
    BOX = "box"
    """A box of usage, or more than one line, instead of a sentence."""
    VAGUE = "vague"
    """One sentence that names neither the file nor the argument."""
    TRACEBACK = "traceback"
    CRASH = "crash"
    HANG = "hang"
    MEMORY = "memory"
    LEFT_BEHIND = "left behind"
    """A file or a process that is none of the results, or an input that was changed."""
    WRONG_CODE = "wrong exit code"

    @property
    def good(self) -> bool:
        return self in (Outcome.FINE, Outcome.SENTENCE)


def nothing(folder: pathlib.Path) -> None:
    """Makes no files."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Case:
    """One input."""

    name: str
    """Unique; the draws of a mutation depend on it."""
    family: str
    """Kind of input, for the table of outcomes."""
    arguments: tuple[str, ...]
    """Arguments of ``cellmotion``; relative paths are in the folder that ``make`` fills."""
    expected: Expected
    words: tuple[str, ...] = ()
    """A sentence has one of them: the name of the argument or of the file, in any case, with `-` or `_`."""
    make: Callable[[pathlib.Path], None] = nothing
    """Makes the files in an empty folder, where the command then runs."""
    outputs: tuple[str, ...] = ("out",)
    """Paths at and below which a command that ends well may write."""
    inputs_may_change: bool = False
    """For folders that a command continues to fill, such as those of runs."""

    @property
    def command(self) -> str:
        """The command of its arguments, by name."""
        if self.arguments[:1] == ("track",):
            return "track --by linking" if "linking" in self.arguments else "track --by filters"
        return self.arguments[0] if self.arguments else ""
