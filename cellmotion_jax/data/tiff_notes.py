"""Notes of a TIFF file on its images: OME-XML, the description of ImageJ, and the size of a pixel."""

from __future__ import annotations

import math
import pathlib
import re
import xml.etree.ElementTree as ET
from collections.abc import Iterator

import tifffile

from cellmotion_jax.errors import InputError
from cellmotion_jax.settings import LARGEST_PIXEL_UM

_LONGEST_OME = 2**27
_MICRONS_PER_UNIT = {
    **dict.fromkeys(("micron", "microns", "um", "µm", "μm", "\\u00B5m", "micrometer"), 1.0),
    "nm": 1e-3,
    "mm": 1e3,
    "cm": 1e4,
}


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
    root = _parsed(path, note)
    all_pixels = [*_pixels(root)]
    uuids = [element for element in root.iter() if _name(element) == "UUID"]
    if any(_name(element) == "BinaryOnly" for element in root) or len({uuid.text for uuid in uuids}) > 1:
        raise InputError(f"{path} is one part of an OME-TIFF in several files; save it as one file.")
    if not all_pixels:
        raise InputError(f"{path} has OME-XML that describes no image; save it again.")
    further = [element for element in root.iter() if re.fullmatch("ModuloAlong.", _name(element))]
    if further:
        raise InputError(f"{path} declares a further axis ({_name(further[0])}); a movie has the axes TYX.")
    for pixels in all_pixels:
        planes = math.prod(_whole(path, pixels, f"Size{axis}", smallest=1) for axis in "CZT")
        for axis in "XY":
            _whole(path, pixels, f"Size{axis}", smallest=1)
        listed = 0
        for data in pixels:
            if _name(data) == "TiffData":
                first = [_whole(path, data, name, absent=0) for name in ("IFD", "FirstC", "FirstZ", "FirstT")]
                number = [_whole(path, data, name, absent=1) for name in ("PlaneCount", "NumPlanes")]
                planes, listed = max(planes, *first), listed + max(number)
        if max(planes, listed) > most_planes:
            raise InputError(
                f"{path} is damaged: its OME-XML describes {max(planes, listed)} planes, which the file "
                "cannot hold."
            )
    own, names = root.get("UUID"), {uuid.get("FileName", "").lower() for uuid in uuids}
    return all(uuid.text == own for uuid in uuids) if own else names <= {path.name.lower()}


def _parsed(path: pathlib.Path, note: str) -> ET.Element:
    if len(note) > _LONGEST_OME:
        raise InputError(f"{path} has OME-XML of {len(note):,} characters; up to {_LONGEST_OME:,} are read.")
    # OME-XML has no document type; one could only define entities, which grow without limit.
    if "<!DOCTYPE" in note or "<!ENTITY" in note:
        raise InputError(f"{path} has OME-XML that defines entities, which are not read; save it again.")
    try:
        return ET.fromstring(note)
    except (ET.ParseError, ValueError) as error:
        raise InputError(f"{path} has OME-XML that cannot be read ({error}); save it again.") from error


def _name(element: ET.Element) -> str:
    return element.tag.rpartition("}")[2]


def _pixels(root: ET.Element) -> Iterator[ET.Element]:
    for image in root:
        if _name(image) == "Image":
            yield from (element for element in image if _name(element) == "Pixels")


def _whole(
    path: pathlib.Path, element: ET.Element, name: str, *, smallest: int = 0, absent: int | None = None
) -> int:
    text = element.get(name)
    if text is None and absent is not None:
        return absent
    if text is None or not re.fullmatch("[0-9]{1,18}", text, re.ASCII) or int(text) < smallest:
        raise InputError(
            f"{path} has OME-XML in which {name} is {(text or '')[:30]!r}; it is a whole number from "
            f"{smallest} on."
        )
    return int(text)


def pixel_size_um(file: tifffile.TiffFile) -> float | None:
    """Side of a pixel from the OME, ImageJ or centimetre tags, in this order; None if none is credible.

    Args:
        file: A file whose notes are checked.

    Returns:
        The side in micrometres.
    """
    page = file.pages.first
    if page.is_ome:
        pixels = next(_pixels(ET.fromstring(page.description)))
        sizes = [
            _positive(pixels.get(f"PhysicalSize{axis}"), unit=pixels.get(f"PhysicalSize{axis}Unit", "µm"))
            for axis in "XY"
        ]
        return _square(sizes)
    tags = page.tags
    if file.is_imagej:
        unit = (file.imagej_metadata or {}).get("unit", "")
    else:
        unit = "cm" if tags.valueof("ResolutionUnit") == tifffile.RESUNIT.CENTIMETER else ""
    return _square([_length(tags.valueof(name), unit=unit) for name in ("XResolution", "YResolution")])


def _positive(value: str | None, *, unit: str) -> float | None:
    """A length in micrometres from its text."""
    try:
        length = float(value or "") * _MICRONS_PER_UNIT[unit]
    except (ValueError, KeyError):
        return None
    return length if 0 < length < math.inf else None


def _length(resolution: object, *, unit: object) -> float | None:
    """Micrometres per pixel from pixels per unit: a fraction of two numbers."""
    match resolution:
        case (int() as pixels, int() as length) if pixels > 0 and length > 0 and isinstance(unit, str):
            return _positive(repr(length / pixels), unit=unit)
    return None


def _square(sizes: list[float | None]) -> float | None:
    """The common side of a pixel, None if its sides differ by more than a percent or are implausible."""
    width, height = sizes
    if width is None or height is None or not math.isclose(width, height, rel_tol=0.01):
        return None
    return width if width < LARGEST_PIXEL_UM else None
