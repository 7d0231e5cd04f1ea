"""OME-TIFF in several files: which file holds which plane."""

from __future__ import annotations

import math
import os
import pathlib
import xml.etree.ElementTree as ET
from typing import NamedTuple

import numpy as np

from cellmotion_jax.data.axes import MOST_PLANES, AxesChoice, find_frames
from cellmotion_jax.data.ome_xml import (
    all_pixels,
    element_name,
    ome_channels,
    ome_frame_interval_s,
    ome_pixel_size_um,
    parse_ome,
    whole_number,
)
from cellmotion_jax.data.tiff import TiffHeader, read_header
from cellmotion_jax.data.tiff_chain import read_chain
from cellmotion_jax.data.tiff_file import WHAT, open_tiff
from cellmotion_jax.data.tiff_notes import Notes, check_no_further_axis
from cellmotion_jax.errors import InputError
from cellmotion_jax.input_files import read_text, require_regular_file


class OmeSet(NamedTuple):
    """The planes of an OME-TIFF that lie in several files."""

    path: pathlib.Path
    """The file whose notes list them."""
    axes: str
    """Time, channel and slice in the order of the planes, then YX."""
    shape: tuple[int, ...]
    """Lengths of the axes."""
    places: dict[int, tuple[str, int]]
    """Name of the file and number of the page of every plane that the notes list."""
    notes: Notes
    """Size of a pixel, interval between frames and names of the channels."""

    @property
    def names(self) -> set[str]:
        """Names of all files."""
        return {name for name, _ in self.places.values()}


def is_companion(path: pathlib.Path) -> bool:
    """Whether a file is, by its name, OME-XML that lists the TIFF files of a movie beside it."""
    return path.name.lower().endswith(".companion.ome")


def read_ome_set(path: pathlib.Path) -> OmeSet | None:
    """Reads the notes of a file that may be a part of an OME-TIFF in several files.

    Args:
        path: A TIFF file, or a file of OME-XML by its own (``*.companion.ome``).

    Returns:
        The planes of all files; None for a file that is no OME-TIFF, or one by itself.

    Raises:
        InputError: If the notes cannot be followed.
    """
    note = read_text(path, what="OME-XML") if is_companion(path) else _note_of_tiff(path)
    if not note:
        return None
    root = parse_ome(path, note)
    lists = next((element for element in root if element_name(element) == "BinaryOnly"), None)
    if lists is not None and lists.get("MetadataFile"):
        name = _beside(path, lists.get("MetadataFile", ""))
        raise InputError(
            f"{path} is one part of an OME-TIFF in several files; open {name}, which lists them."
        )
    identities = {element.text for element in root.iter() if element_name(element) == "UUID"}
    if len(identities) < 2 and not is_companion(path):
        return None
    images = [*all_pixels(root)]
    if len(images) != 1:
        raise InputError(f"{path} lists {len(images)} images in its OME-XML; a movie is one image.")
    check_no_further_axis(path, root)
    pixels = images[0]
    order, lengths = _axes(path, pixels)
    height, width = (whole_number(path, pixels, f"Size{axis}", smallest=1) for axis in "YX")
    places = _places(path, pixels, order, lengths)
    notes = Notes(ome_pixel_size_um(pixels), ome_frame_interval_s(pixels), ome_channels(pixels))
    return OmeSet(path, f"{order}YX", (*lengths, height, width), places, notes)


def _note_of_tiff(path: pathlib.Path) -> str | None:
    require_regular_file(path, what=WHAT)
    read_chain(path)  # What is no TIFF is told by its name.
    with open_tiff(path) as file:
        return file.ome_metadata if file.is_ome else None


def _axes(path: pathlib.Path, pixels: ET.Element) -> tuple[str, tuple[int, ...]]:
    """Letters and lengths of time, channel and slice, from the slowest axis to the fastest."""
    order = (pixels.get("DimensionOrder") or "")[2:][::-1]
    if sorted(order) != ["C", "T", "Z"]:
        told = (pixels.get("DimensionOrder") or "")[:30]
        raise InputError(f"{path} has OME-XML with the order of planes {told!r}; save it again.")
    lengths = tuple(whole_number(path, pixels, f"Size{axis}", smallest=1) for axis in order)
    if math.prod(lengths) > MOST_PLANES:
        raise InputError(
            f"{path} lists {math.prod(lengths):,} planes in its OME-XML; up to {MOST_PLANES:,} are read."
        )
    return order, lengths


def _places(
    path: pathlib.Path, pixels: ET.Element, order: str, lengths: tuple[int, ...]
) -> dict[int, tuple[str, int]]:
    """Name of the file and number of the page of every plane that the notes list."""
    planes = math.prod(lengths)
    places: dict[int, tuple[str, int]] = {}
    listed = 0
    for data in pixels:
        if element_name(data) != "TiffData":
            continue
        told = next((u.get("FileName") for u in data if element_name(u) == "UUID"), None)
        name = _beside(path, told or path.name)
        at = [whole_number(path, data, f"First{axis}", absent=0) for axis in order]
        page = whole_number(path, data, "IFD", absent=0)
        count = whole_number(path, data, "PlaneCount", absent=1)
        listed += count
        inside = all(index < length for index, length in zip(at, lengths))
        first = int(np.ravel_multi_index(at, lengths)) if inside else planes
        if max(first + count, listed) > planes:
            raise InputError(
                f"{path} is damaged: its OME-XML lists more than the {planes} planes that it has."
            )
        for more in range(count):
            places[first + more] = (name, page + more)
    return places


def _beside(path: pathlib.Path, name: str) -> str:
    """The name of a file in the folder of another; raises InputError for a path to elsewhere."""
    if pathlib.PurePath(name).name != name or "\\" in name or not name.isprintable() or len(name) > 255:
        raise InputError(f"{path} lists the file {name[:60]!r}, which is not beside it.")
    return name


def open_ome_set(
    parts: OmeSet, *, choice: AxesChoice | None, colour: bool = False
) -> list[tuple[TiffHeader, int]]:
    """Finds the frames of a movie in several files.

    Args:
        parts: The files.
        choice: What the user says of axes and channels.
        colour: Images of red, green and blue are wanted; the movie, whose colours are channels, is refused.

    Returns:
        File and number of the page of every frame.

    Raises:
        InputError: If a file is missing or damaged, a frame is not listed, or the axes are not those of a
            movie.
    """
    frames = find_frames(
        parts.path, parts.axes, parts.shape, choice=choice, names=parts.notes.channels, colour=colour
    )
    headers: dict[str, TiffHeader] = {}
    found = []
    for number, plane in enumerate(frames.planes):
        if plane not in parts.places:
            raise InputError(f"{parts.path} lists no file for frame {number} in its OME-XML.")
        name, page = parts.places[plane]
        if name not in headers:
            file = parts.path.parent / name
            if not os.path.exists(file):
                raise InputError(
                    f"{file} is missing; {parts.path} lists it as one of the {len(parts.names)} files of the "
                    "movie."
                )
            headers[name] = read_header(file, single_file=False)
            if headers[name].shape != frames.shape:
                size = " x ".join(map(str, headers[name].shape))
                raise InputError(
                    f"{file} has the size {size}, but {parts.path} gives it "
                    f"{frames.shape[0]} x {frames.shape[1]}."
                )
        if page >= headers[name].planes:
            raise InputError(
                f"{headers[name].path} is truncated: it lacks page {page}, which is frame {number}."
            )
        found.append((headers[name], page))
    return found
