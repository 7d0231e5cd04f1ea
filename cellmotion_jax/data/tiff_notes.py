"""Notes of a TIFF file on its images: OME-XML, the description of ImageJ, and the tags of the resolution."""

from __future__ import annotations

import math
import pathlib
import re
import xml.etree.ElementTree as ET
from typing import Any, NamedTuple

import tifffile

from cellmotion_jax.data.ome_xml import (
    all_pixels,
    element_name,
    ome_channels,
    ome_frame_interval_s,
    ome_pixel_size_um,
    parse_ome,
    whole_number,
)
from cellmotion_jax.data.units import is_printing_resolution, microns, seconds, square_pixel_um
from cellmotion_jax.errors import InputError


class Notes(NamedTuple):
    """What a file says of the specimen."""

    pixel_size_um: float | None = None
    """Side of a pixel in micrometres; None where the file does not say."""
    frame_interval_s: float | None = None
    """Seconds from frame to frame; None where the file does not say."""
    channels: tuple[str, ...] = ()
    """Names of the channels, as far as they are known."""


def check_notes(path: pathlib.Path, file: tifffile.TiffFile, *, pages: int) -> None:
    """Checks the notes from which the number and the order of the images are read.

    Args:
        path: The file.
        file: The file, whose series are not read yet.
        pages: Number of its pages.

    Raises:
        InputError: If OME-XML cannot be read, describes no image, more planes than the file can hold or
            images in several files, or if a number of ImageJ is none.
    """
    if file.is_ome and file.ome_metadata:
        here = _check_ome(path, file.ome_metadata, most_planes=max(pages, file.filehandle.size // 16))
        # Of a file that was renamed the planes are read in their order, and no file of the old name.
        file.is_ome = here
    if file.is_imagej:
        for name in ("images", "frames", "slices", "channels"):
            value = (file.imagej_metadata or {}).get(name, 1)
            if not isinstance(value, int) or not 1 <= value <= file.filehandle.size:
                raise InputError(
                    f"{path} is damaged: its notes of ImageJ give {name}={str(value)[:30]}, which is no "
                    "number of "
                    "images."
                )


def _check_ome(path: pathlib.Path, note: str, *, most_planes: int) -> bool:
    """Checks OME-XML; returns whether it names this file, or none, as that of the planes."""
    root = parse_ome(path, note)
    images = [*all_pixels(root)]
    uuids = [element for element in root.iter() if element_name(element) == "UUID"]
    if any(element_name(element) == "BinaryOnly" for element in root) or len({u.text for u in uuids}) > 1:
        raise InputError(f"{path} is one part of an OME-TIFF in several files; save it as one file.")
    if not images:
        raise InputError(f"{path} has OME-XML that describes no image; save it again.")
    check_no_further_axis(path, root)
    for pixels in images:
        planes = math.prod(whole_number(path, pixels, f"Size{axis}", smallest=1) for axis in "CZT")
        for axis in "XY":
            whole_number(path, pixels, f"Size{axis}", smallest=1)
        listed = 0
        for data in pixels:
            if element_name(data) == "TiffData":
                names = ("IFD", "FirstC", "FirstZ", "FirstT")
                first = [whole_number(path, data, name, absent=0) for name in names]
                number = [whole_number(path, data, name, absent=1) for name in ("PlaneCount", "NumPlanes")]
                planes, listed = max(planes, *first), listed + max(number)
        if max(planes, listed) > most_planes:
            raise InputError(
                f"{path} is damaged: its OME-XML describes {max(planes, listed)} planes, which the file "
                "cannot hold."
            )
    own, names = root.get("UUID"), {uuid.get("FileName", "").lower() for uuid in uuids}
    return all(uuid.text == own for uuid in uuids) if own else names <= {path.name.lower()}


def check_no_further_axis(path: pathlib.Path, root: ET.Element) -> None:
    """Checks that images have no axis beside time, channel and slice.

    Args:
        path: The file, for messages.
        root: OME-XML.

    Raises:
        InputError: If they have one.
    """
    for element in root.iter():
        if re.fullmatch("ModuloAlong.", element_name(element)):
            raise InputError(
                f"{path} declares a further axis ({element_name(element)}); a movie has the axes TYX."
            )


def read_notes(file: tifffile.TiffFile) -> Notes:
    """What a file says of the size of a pixel, the interval between frames, and its channels.

    The notes of OME, of ImageJ and the tag of the resolution, in this order. A resolution in pixels per inch
    or centimetre without a note is believed only where it is none of a printer or scanner.

    Args:
        file: A file whose notes are checked.

    Returns:
        The notes.
    """
    page = file.pages.first
    if page.is_ome:
        pixels = next(all_pixels(ET.fromstring(page.description)))
        return Notes(ome_pixel_size_um(pixels), ome_frame_interval_s(pixels), ome_channels(pixels))
    if file.is_imagej:
        notes = file.imagej_metadata or {}
        interval = seconds(notes.get("finterval"), notes.get("tunit", "sec"))
        return Notes(_tagged_size(page, notes.get("unit", "")), interval, _imagej_channels(notes))
    unit = page.tags.valueof("ResolutionUnit")
    units = ((tifffile.RESUNIT.CENTIMETER, "cm"), (tifffile.RESUNIT.INCH, "inch"))
    size = _tagged_size(page, next((name for code, name in units if code == unit), ""))
    return Notes(None if size is None or is_printing_resolution(size) else size)


def _tagged_size(page: tifffile.TiffPage, unit: object) -> float | None:
    """Side of a pixel from the tags, which are fractions: pixels, and the length that they cover."""
    sizes: list[float | None] = []
    for name in ("XResolution", "YResolution"):
        match page.tags.valueof(name):
            case (int() as pixels, int() as length) if pixels > 0 and length > 0:
                sizes.append(microns(length / pixels, unit))
            case _:
                return None
    return square_pixel_um(*sizes)


def _imagej_channels(notes: dict[str, Any]) -> tuple[str, ...]:
    """Labels of the slices, if they are those of the channels: the same ones at every time."""
    labels, channels = notes.get("Labels", ()), notes.get("channels", 1)
    if not isinstance(labels, list | tuple) or channels < 2 or len(labels) < channels:
        return ()
    repeated = all(label == labels[at % channels] for at, label in enumerate(labels))
    return tuple(map(str, labels[:channels])) if repeated and len(set(labels[:channels])) > 1 else ()
