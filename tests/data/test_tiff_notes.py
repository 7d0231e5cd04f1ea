"""Size of a pixel and interval of frames from what a file says, in the units that are met."""

import numpy as np
import pytest
import tifffile

from cellmotion_jax.data.movie import open_movie

IMAGES = np.arange(3 * 12 * 16, dtype=np.uint16).reshape(3, 12, 16)


def ome(**notes):
    return {"ome": True, "metadata": {"axes": "TYX", **notes}}


def imagej(unit, per_unit, **notes):
    return {
        "imagej": True,
        "resolution": (per_unit, per_unit),
        "metadata": {"axes": "TYX", "unit": unit, **notes},
    }


def tagged(resolution, unit):
    return {"resolution": (resolution, resolution), "resolutionunit": unit}


def sides(size, unit=None, other=None, other_unit=None):
    other, other_unit = other or size, other_unit or unit
    return {
        "PhysicalSizeX": size,
        "PhysicalSizeY": other,
        **({"PhysicalSizeXUnit": unit, "PhysicalSizeYUnit": other_unit} if unit else {}),
    }


def opened(tmp_path, options, **more):
    path = tmp_path / ("movie.ome.tif" if options.get("ome") else "movie.tif")
    tifffile.imwrite(path, IMAGES, photometric="minisblack", **options)
    return open_movie(path, **more)


@pytest.mark.parametrize(
    "options",
    [
        ome(**sides(0.65)),
        ome(**sides(650, "nm")),
        ome(**sides(0.65, "µm", 650, "nm")),
        ome(**sides(6.5e-7, "m")),
        ome(**sides(6.5e-4, "mm")),
        ome(**sides(0.65 / 25400, "in")),
        imagej("um", 1 / 0.65),
        imagej("micron", 1 / 0.65),
        imagej("microns", 1 / 0.65),
        imagej("\\u00B5m", 1 / 0.65),
        imagej("nm", 1 / 650),
        imagej("mm", 1e3 / 0.65),
        imagej("cm", 1e4 / 0.65),
        imagej("inch", 25400 / 0.65),
        tagged(1e4 / 0.65, "CENTIMETER"),
        tagged(25400 / 0.65, "INCH"),
    ],
    ids=str,
)
def test_a_pixel_of_650_nm_in_every_unit(tmp_path, options):
    assert opened(tmp_path, options).pixel_size_um == pytest.approx(0.65, rel=1e-4)


@pytest.mark.parametrize(
    "options",
    [
        ome(**sides(1.0, "pixel")),
        ome(PhysicalSizeX=0.65, PhysicalSizeXUnit="µm"),
        ome(**sides(0.65, "µm", 0.9, "µm")),
        ome(),
        imagej("pixel", 1),
        imagej("", 2),
        tagged(72, "INCH"),
        tagged(600, "INCH"),
        tagged(4800, "INCH"),
        tagged(118.11, "CENTIMETER"),
        tagged(236.22, "CENTIMETER"),
        tagged(1e4 / 0.65, "NONE"),
        {},
    ],
    ids=str,
)
def test_what_says_nothing_of_the_specimen(tmp_path, options):
    movie = opened(tmp_path, options)
    assert (movie.pixel_size_um, movie.frame_interval_s) == (None, None)


@pytest.mark.parametrize(
    "options",
    [
        imagej("um", 2, finterval=300.0),
        imagej("um", 2, finterval=300, tunit="s"),
        imagej("um", 2, finterval=5, tunit="min"),
        ome(TimeIncrement=300),
        ome(TimeIncrement=5, TimeIncrementUnit="min"),
        ome(Plane={"DeltaT": [0, 300, 600], "DeltaTUnit": ["s"] * 3}),
        ome(Plane={"DeltaT": [12.0, 17.1, 22.1], "DeltaTUnit": ["min"] * 3}),
    ],
    ids=str,
)
def test_an_interval_of_five_minutes_in_every_unit(tmp_path, options):
    assert opened(tmp_path, options).frame_interval_s == pytest.approx(300, rel=0.02)


@pytest.mark.parametrize(
    "options",
    [
        imagej("um", 2, fps=7.0),
        imagej("um", 2, finterval=0.0),
        imagej("um", 2, finterval=5, tunit="frame"),
        ome(TimeIncrement=0),
        ome(Plane={"DeltaT": [0, 300, 900], "DeltaTUnit": ["s"] * 3}),
        ome(Plane={"DeltaT": [0, 0, 0], "DeltaTUnit": ["s"] * 3}),
        ome(Plane={"DeltaT": [600, 300, 0], "DeltaTUnit": ["s"] * 3}),
    ],
    ids=str,
)
def test_what_tells_no_interval(tmp_path, options):
    assert opened(tmp_path, options).frame_interval_s is None
