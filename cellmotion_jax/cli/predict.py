"""``cellmotion predict``: the cells of a movie, detected and outlined."""

from __future__ import annotations

import dataclasses
import pathlib

import tyro

from cellmotion_jax.cli.compilation_cache import enable_compilation_cache
from cellmotion_jax.data.downsampling import downsampling_for
from cellmotion_jax.data.movie import open_movie
from cellmotion_jax.errors import InputError
from cellmotion_jax.files import require_empty_folder, written_beside
from cellmotion_jax.inference.tiling import Tiling
from cellmotion_jax.methods.deep_distance.model_file import load_model as load_cell_model
from cellmotion_jax.methods.deep_distance.predict_movie import predict_movie
from cellmotion_jax.report.cells import plot_overview


@dataclasses.dataclass(frozen=True, kw_only=True)
class _DetectionOptions:
    """What of the model's detection to change."""

    h: float | None = None
    """Height by which a peak stands out; without one, the height that was chosen in training. Without effect
    on a network that has a boundary map, whose cells are no peaks."""
    floor: float | None = None
    """Value that a peak exceeds; without one, that of the training."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class _PredictOptions:
    """Detects and outlines the cells of every frame of a movie.

    Writes maskT.tif (label images, uint16; labels are numbers within a frame, not tracks), detections.csv
    (places and areas) and overview.png (contours over the first, the middle and the last frame). A network
    that has not learned outlines gives detections only.
    """

    movie: tyro.conf.Positional[pathlib.Path]
    """Folder of TIFF frames, or one TIFF stack; grey."""
    model: pathlib.Path
    """The model.safetensors that training wrote."""
    out: pathlib.Path
    """Folder to write; it must not exist yet, or be empty."""
    pixel_size_um: float | None = None
    """Side of a pixel in micrometres, where the movie's files do not say it or say it wrong."""
    cell_diameter: float | None = None
    """Pixels across a typical cell of the movie, if these are other cells, or another magnification, than the
    network was trained on: images are downsampled accordingly. They are not enlarged for smaller cells."""
    detection: _DetectionOptions = dataclasses.field(default_factory=_DetectionOptions)
    tiling: Tiling = dataclasses.field(default_factory=Tiling)


def predict_cells(arguments: list[str]) -> None:
    """Detects and outlines the cells of a movie."""
    options = tyro.cli(_PredictOptions, args=arguments, prog="cellmotion predict")
    require_empty_folder(options.out)
    model = load_cell_model(options.model)
    if model.channels != 1:
        raise InputError(
            f"{options.model} was trained on images of {model.channels} channels, and movies are grey; "
            "cellmotion_jax.methods.deep_distance.cells.find_cells takes images of any number in Python."
        )
    given = {name: it for name, it in dataclasses.asdict(options.detection).items() if it is not None}
    model = dataclasses.replace(model, detection=dataclasses.replace(model.detection, **given))
    if options.cell_diameter is not None:
        if not 0 < options.cell_diameter < float("inf"):
            raise InputError(f"cell-diameter is {options.cell_diameter}; it is a positive number of pixels.")
        model = dataclasses.replace(
            model, downsample=downsampling_for(options.cell_diameter, model.cell_diameter)
        )
    movie = open_movie(options.movie, pixel_size_um=options.pixel_size_um)
    enable_compilation_cache()
    with written_beside(options.out) as partial:
        partial.mkdir()
        prediction = predict_movie(movie, model, partial, tiling=options.tiling)
        plot_overview(prediction.shown, partial / "overview.png")
    print(f"Wrote {options.out}: {prediction.cells} cells in {prediction.frames} frames")  # noqa: T201
