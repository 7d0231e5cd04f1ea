"""Units of length and time, as microscopes and the programs of the field write them."""

from __future__ import annotations

import math

from cellmotion_jax.settings import LARGEST_PIXEL_UM, SMALLEST_PIXEL_UM

_MICRONS = {
    **dict.fromkeys(("micron", "microns", "um", "µm", "μm", "\\u00B5m", "\\u03BCm"), 1.0),
    **dict.fromkeys(("micrometer", "micrometers", "micrometre", "micrometres"), 1.0),
    **dict.fromkeys(("nm", "nanometer", "nanometers", "nanometre", "nanometres"), 1e-3),
    **dict.fromkeys(("pm", "picometer", "picometre"), 1e-6),
    **dict.fromkeys(("\u00c5", "\u212b", "angstrom"), 1e-4),
    **dict.fromkeys(("mm", "millimeter", "millimeters", "millimetre", "millimetres"), 1e3),
    **dict.fromkeys(("cm", "centimeter", "centimeters", "centimetre", "centimetres"), 1e4),
    **dict.fromkeys(("m", "meter", "meters", "metre", "metres"), 1e6),
    **dict.fromkeys(("in", "inch", "inches", '"'), 25400.0),
}
_SECONDS = {
    **dict.fromkeys(("s", "sec", "secs", "second", "seconds"), 1.0),
    **dict.fromkeys(("ms", "msec", "millisecond", "milliseconds"), 1e-3),
    **dict.fromkeys(("us", "µs", "μs", "microsecond", "microseconds"), 1e-6),
    **dict.fromkeys(("min", "mins", "minute", "minutes"), 60.0),
    **dict.fromkeys(("h", "hr", "hour", "hours"), 3600.0),
    **dict.fromkeys(("d", "day", "days"), 86400.0),
}
_LONGEST_INTERVAL_S = 1e7
# Dots per inch at which programs print and scanners scan; a TIFF tag that holds one is no calibration.
_PRINTED_DPI = (2700, 2800, 3000, 3200, 3600, 4000, 4800, 5400, 6400, 7200, 9600)
_LARGEST_UNEXPLAINED_UM = 10.0


def microns(value: object, unit: object) -> float | None:
    """A length in micrometres.

    Args:
        value: The length, a number or its text.
        unit: Its unit; metre to picometre, inch and angstrom are known.

    Returns:
        The length; None if the unit is not one of length, such as pixel, or the value is no positive number.
    """
    factor = _MICRONS.get(unit.strip()) if isinstance(unit, str) else None
    return _positive(value, factor)


def seconds(value: object, unit: object) -> float | None:
    """An interval in seconds.

    Args:
        value: The interval, a number or its text.
        unit: Its unit, from microsecond to day.

    Returns:
        The interval; None if the unit is unknown, the value no positive number, or longer than 10,000,000 s.
    """
    factor = _SECONDS.get(unit.strip()) if isinstance(unit, str) else None
    interval = _positive(value, factor)
    return interval if interval is not None and 1e-6 <= interval <= _LONGEST_INTERVAL_S else None


def _positive(value: object, factor: float | None) -> float | None:
    try:
        result = float(value) * factor if isinstance(value, int | float | str) and factor else 0.0
    except (ValueError, OverflowError):
        return None
    return result if 0 < result < math.inf else None


def square_pixel_um(width: float | None, height: float | None) -> float | None:
    """The common side of a pixel.

    Args:
        width: Extent along x in micrometres, None where it is not known.
        height: Extent along y.

    Returns:
        The width; None if one is not known, they differ by more than a percent, or are not from 0.001 to
        50 um, beyond which no microscope resolves a cell.
    """
    if width is None or height is None or not math.isclose(width, height, rel_tol=0.01):
        return None
    return width if SMALLEST_PIXEL_UM <= width < LARGEST_PIXEL_UM else None


def is_printing_resolution(pixel_um: float) -> bool:
    """Whether pixels per inch or centimetre in a TIFF tag are those of a printer or scanner.

    A program that knows no calibration writes 72, 96, 300 or 600 dots per inch, in either unit: pixels of 353
    to 42 um. So a tag alone counts only below 10 um, and not where it is a usual resolution of scanners.

    Args:
        pixel_um: Side of the pixel that the tag would mean, in micrometres.

    Returns:
        True if the tag says nothing of the specimen.
    """
    dpi = 25400 / pixel_um
    return pixel_um >= _LARGEST_UNEXPLAINED_UM or any(abs(dpi / usual - 1) < 1e-4 for usual in _PRINTED_DPI)
