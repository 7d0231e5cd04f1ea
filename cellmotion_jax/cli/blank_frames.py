"""The line about frames without information that commands print at their end."""

from __future__ import annotations

from collections.abc import Sequence

from cellmotion_jax.data.blank_frames import BLANK_FRAMES, BlankFrame, describe_blank_frames


def say_blank_frames(frames: Sequence[BlankFrame]) -> None:
    """Prints which frames were left out, if any."""
    if frames:
        print(f"{describe_blank_frames(frames)} See {BLANK_FRAMES}; --no-skip-blank uses them.")  # noqa: T201
