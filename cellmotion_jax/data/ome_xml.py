"""OME-XML, the notes of OME-TIFF: checked before they are followed."""

from __future__ import annotations

import itertools
import pathlib
import re
import statistics
import xml.etree.ElementTree as ET
from collections.abc import Iterator

from cellmotion_jax.data.units import microns, seconds, square_pixel_um
from cellmotion_jax.errors import InputError

_LONGEST = 2**27
# Time stamps that differ more than this from equal steps have no common interval.
_MOST_UNEVEN = 0.1


def parse_ome(path: pathlib.Path, note: str) -> ET.Element:
    """Parses OME-XML.

    Args:
        path: The file, for messages.
        note: The text.

    Returns:
        The root element.

    Raises:
        InputError: If it cannot be read, is too long, or defines entities.
    """
    if len(note) > _LONGEST:
        raise InputError(f"{path} has OME-XML of {len(note):,} characters; up to {_LONGEST:,} are read.")
    # OME-XML has no document type; one could only define entities, which grow without limit.
    if "<!DOCTYPE" in note or "<!ENTITY" in note:
        raise InputError(f"{path} has OME-XML that defines entities, which are not read; save it again.")
    try:
        return ET.fromstring(note)
    except (ET.ParseError, ValueError) as error:
        raise InputError(f"{path} has OME-XML that cannot be read ({error}); save it again.") from error


def element_name(element: ET.Element) -> str:
    """Name of an element without its namespace."""
    return element.tag.rpartition("}")[2]


def all_pixels(root: ET.Element) -> Iterator[ET.Element]:
    """The descriptions of the pixels of all images."""
    for image in root:
        if element_name(image) == "Image":
            yield from (element for element in image if element_name(element) == "Pixels")


def whole_number(
    path: pathlib.Path, element: ET.Element, name: str, *, smallest: int = 0, absent: int | None = None
) -> int:
    """A whole number of an element.

    Args:
        path: The file, for messages.
        element: The element.
        name: Name of the attribute.
        smallest: Smallest number that is allowed.
        absent: Value where there is no such attribute; None if there must be one.

    Returns:
        The number.

    Raises:
        InputError: If it is absent or no whole number.
    """
    text = element.get(name)
    if text is None and absent is not None:
        return absent
    if text is None or not re.fullmatch("[0-9]{1,18}", text, re.ASCII) or int(text) < smallest:
        raise InputError(
            f"{path} has OME-XML in which {name} is {(text or '')[:30]!r}; it is a whole number from "
            f"{smallest} on."
        )
    return int(text)


def ome_pixel_size_um(pixels: ET.Element) -> float | None:
    """Side of a pixel in micrometres, the unit where none is given; None where it is not known."""
    width, height = (
        microns(pixels.get(f"PhysicalSize{axis}"), pixels.get(f"PhysicalSize{axis}Unit", "µm"))
        for axis in "XY"
    )
    return square_pixel_um(width, height)


def ome_frame_interval_s(pixels: ET.Element) -> float | None:
    """Seconds from frame to frame: the increment, or else the time stamps if they are evenly spaced."""
    increment = seconds(pixels.get("TimeIncrement"), pixels.get("TimeIncrementUnit", "s"))
    if increment is not None:
        return increment
    stamps: dict[int, float] = {}
    for plane in pixels:
        if element_name(plane) != "Plane" or not re.fullmatch("[0-9]{1,9}", plane.get("TheT", "")):
            continue
        # The first frame may be at 0, which is no interval.
        text, unit = plane.get("DeltaT", ""), plane.get("DeltaTUnit", "s")
        stamp = 0.0 if re.fullmatch(r"0+(\.0*)?", text) else seconds(text, unit)
        if stamp is not None:
            stamps.setdefault(int(plane.get("TheT", "")), stamp)
    frames = sorted(stamps)
    if len(frames) < 2 or frames != list(range(frames[0], frames[0] + len(frames))):
        return None
    steps = [stamps[after] - stamps[before] for before, after in itertools.pairwise(frames)]
    step = statistics.median(steps)
    even = all(abs(one - step) <= _MOST_UNEVEN * step for one in steps)
    return step if step > 0 and even else None


def ome_channels(pixels: ET.Element) -> tuple[str, ...]:
    """Names of the channels; empty where one has none."""
    return tuple(element.get("Name", "") for element in pixels if element_name(element) == "Channel")
