"""Movies in OME-Zarr (NGFF 0.4 and 0.5): folders of chunks, of which only those of a frame are read."""

from __future__ import annotations

import dataclasses
import math
import os
import pathlib
import re
from typing import Any

import numpy as np
from jaxtyping import Num

from cellmotion_jax.data.axes import AxesChoice, Frames, find_frames
from cellmotion_jax.data.tiff_notes import Notes
from cellmotion_jax.data.tiff_pages import MOST_BYTES, MOST_PIXELS
from cellmotion_jax.data.units import microns, seconds, square_pixel_um
from cellmotion_jax.errors import InputError
from cellmotion_jax.input_files import read_json, require_folder

_CACHED_BYTES = 2**28
_METADATA = ("zarr.json", ".zattrs", ".zgroup", ".zarray")


@dataclasses.dataclass(frozen=True, eq=False)
class ZarrFrames:
    """The frames of a movie in one array of an OME-Zarr.

    Attributes:
        path: Folder of the image.
        array: Its largest resolution, open.
        frames: Which planes are read, and their size.
        leading: Lengths of the axes before Y and X.
        notes: Size of a pixel, interval between frames and names of the channels.
        dtype: Type of the pixels.
    """

    path: pathlib.Path
    array: Any
    frames: Frames
    leading: tuple[int, ...]
    notes: Notes
    dtype: np.dtype

    channels: int = dataclasses.field(default=1, init=False)

    def read(self, index: int) -> Num[np.ndarray, "y x"]:
        """Reads one frame.

        Args:
            index: Number of the frame, from 0.

        Returns:
            The pixels, in the machine's byte order.

        Raises:
            InputError: If a chunk cannot be read or decoded.
        """
        place = np.unravel_index(self.frames.planes[index], self.leading) if self.leading else ()
        try:
            return np.ascontiguousarray(self.array[tuple(map(int, place))].read().result(), self.dtype)
        except (ValueError, OSError) as error:
            raise InputError(
                f"{self.path}, frame {index}, is damaged ({_reason(error)}); copy it again from where it "
                "came."
            ) from error


def is_zarr(folder: str | os.PathLike[str]) -> bool:
    """Whether a folder is a Zarr group or array."""
    return any(os.path.exists(os.path.join(folder, name)) for name in _METADATA)


def open_ome_zarr(path: pathlib.Path, *, choice: AxesChoice | None, colour: bool = False) -> ZarrFrames:
    """Opens an image in OME-Zarr; pixels are read when a frame is.

    Of several resolutions the largest is read.

    Args:
        path: Folder of the image, which holds ``zarr.json`` (0.5) or ``.zattrs`` (0.4).
        choice: What the user says of axes and channels.
        colour: Images of red, green and blue are wanted; there are none in OME-Zarr, where colours are
            channels, and the image is refused.

    Returns:
        The frames.

    Raises:
        InputError: If the folder is no image of OME-Zarr, its metadata or its array cannot be read, its axes
            are not those of a movie, or the package tensorstore is absent.
    """
    require_folder(path, what="a folder of OME-Zarr")
    path, attributes = _image(path)
    scales = attributes.get("multiscales")
    if not isinstance(scales, list) or not scales or not isinstance(scales[0], dict):
        raise InputError(
            f"{path} is a Zarr folder without an image of OME-Zarr (multiscales); export the movie as "
            "OME-Zarr or TIFF."
        )
    scale, datasets = scales[0], scales[0].get("datasets")
    if not isinstance(datasets, list) or not datasets or not isinstance(datasets[0], dict):
        raise InputError(f"{path} is damaged: its metadata of OME-Zarr names no array.")
    inner = datasets[0].get("path")
    if not isinstance(inner, str) or pathlib.PurePosixPath(inner).is_absolute() or ".." in inner.split("/"):
        raise InputError(f"{path} is damaged: its metadata of OME-Zarr names the array {str(inner)[:60]!r}.")
    array = _open_array(path / inner)
    shape = tuple(map(int, array.shape))
    axes, units = _axes(path, scale, shape)
    _check_size(path / inner, array, shape)
    names = _channel_names(attributes)
    frames = find_frames(path, axes, shape, choice=choice, names=names, colour=colour)
    steps = _steps(scale, datasets[0], len(shape))
    size = square_pixel_um(microns(steps[-1], units[-1]), microns(steps[-2], units[-2]))
    interval = seconds(steps[axes.index("T")], units[axes.index("T")]) if "T" in axes else None
    dtype = np.dtype(array.dtype.numpy_dtype).newbyteorder("=")
    return ZarrFrames(path, array, frames, shape[:-2], Notes(size, interval, names), dtype)


def _image(path: pathlib.Path) -> tuple[pathlib.Path, dict[str, Any]]:
    """The folder of the image and its attributes; a collection of one image is that image."""
    attributes = _attributes(path)
    if "plate" in attributes or "well" in attributes:
        raise InputError(
            f"{path} is a plate of OME-Zarr; give the folder of one field, for example .../A/1/0."
        )
    if "multiscales" in attributes or not is_zarr(path / "0"):
        return path, attributes
    if is_zarr(path / "1"):
        raise InputError(f"{path} holds several images; give the folder of one, for example {path / '0'}.")
    return path / "0", _attributes(path / "0")


def _attributes(path: pathlib.Path) -> dict[str, Any]:
    """Attributes of a group, of Zarr 3 (where those of OME have a place of their own) or 2."""
    what = "metadata of OME-Zarr"
    if (path / "zarr.json").exists():
        group = read_json(path / "zarr.json", what=what)
        found = group.get("attributes", {}) if isinstance(group, dict) else {}
        found = found.get("ome", found) if isinstance(found, dict) else {}
    else:
        found = read_json(path / ".zattrs", what=what) if (path / ".zattrs").exists() else {}
    return found if isinstance(found, dict) else {}


def _open_array(path: pathlib.Path) -> Any:
    try:
        import tensorstore
    except ImportError as error:
        raise InputError(
            f"{path} is OME-Zarr, which needs the package tensorstore; install it, or export the movie as "
            "TIFF."
        ) from error
    driver = "zarr3" if (path / "zarr.json").exists() else "zarr"
    spec = {"driver": driver, "kvstore": {"driver": "file", "path": os.path.abspath(path) + os.sep}}
    # What a chunk holds beside a frame is kept for the next ones.
    context = tensorstore.Context({"cache_pool": {"total_bytes_limit": _CACHED_BYTES}})
    try:
        return tensorstore.open(spec, read=True, open=True, context=context).result()
    except (ValueError, OSError) as error:
        raise InputError(f"{path} holds no array of Zarr that can be read ({_reason(error)}).") from error


def _reason(error: Exception) -> str:
    """What tensorstore says of a file, without its path and the specification of the array."""
    said = str(error).partition("\n")[0].partition(" [tensorstore")[0]
    return re.sub('^.*local file "[^"]*": ', "", said)[:150]


def _axes(path: pathlib.Path, scale: dict[str, Any], shape: tuple[int, ...]) -> tuple[str, list[object]]:
    """Letters and units of the axes; before version 0.3 they were fixed."""
    declared = scale.get("axes", [*"tczyx"] if len(shape) == 5 else [])
    axes = [axis if isinstance(axis, dict) else {"name": axis} for axis in declared or ()]
    letters = "".join(str(axis.get("name", "")).upper() for axis in axes)
    if len(letters) != len(shape) or len(axes) != len(shape) or not set(letters) <= set("TCZYX"):
        raise InputError(
            f"{path} names the axes {letters[:20] or 'of its array not at all'}, but the array has "
            f"{len(shape)} of them; those of OME-Zarr are t, c, z, y and x."
        )
    return letters, [axis.get("unit") for axis in axes]


def _check_size(path: pathlib.Path, array: Any, shape: tuple[int, ...]) -> None:
    """Raises InputError for pixels of other types and for frames or chunks that are too large to read."""
    dtype = np.dtype(array.dtype.numpy_dtype)
    if dtype.kind not in "uif":
        raise InputError(f"{path} holds {dtype} pixels; integers or real numbers are right.")
    if min(shape) < 1:
        raise InputError(f"{path} is empty: it has {' x '.join(map(str, shape))} pixels.")
    chunk = math.prod(map(int, array.chunk_layout.read_chunk.shape))
    if math.prod(shape[-2:]) > MOST_PIXELS or chunk * dtype.itemsize > MOST_BYTES:
        raise InputError(
            f"{path} has frames of {shape[-2]} x {shape[-1]} pixels in chunks of {chunk:,}; up to "
            f"{MOST_PIXELS:,} pixels and {MOST_BYTES:,} bytes are read."
        )


def _channel_names(attributes: dict[str, Any]) -> tuple[str, ...]:
    omero = attributes.get("omero")
    channels = omero.get("channels") if isinstance(omero, dict) else None
    if not isinstance(channels, list):
        return ()
    return tuple(str(one.get("label", "")) if isinstance(one, dict) else "" for one in channels)


def _steps(scale: dict[str, Any], dataset: dict[str, Any], axes: int) -> list[float]:
    """Steps along each axis, those of the array times those of the image; NaN where they are not given."""
    of_array = _scale_of(dataset.get("coordinateTransformations"), axes)
    of_image = _scale_of(scale.get("coordinateTransformations"), axes) or [1.0] * axes
    return [one * other for one, other in zip(of_array or [math.nan] * axes, of_image)]


def _scale_of(transformations: object, axes: int) -> list[float] | None:
    for one in transformations if isinstance(transformations, list) else ():
        factors = one.get("scale") if isinstance(one, dict) and one.get("type") == "scale" else None
        if isinstance(factors, list) and len(factors) == axes:
            return [float(factor) if isinstance(factor, int | float) else math.nan for factor in factors]
    return None
