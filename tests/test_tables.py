"""The page of tables in the docs lists exactly the columns that are written, with units in their names."""

import pathlib
import re

import numpy as np
import pytest

import cellmotion_jax
from cellmotion_jax.data.drift import correct
from cellmotion_jax.data.simulate import Simulation, simulate
from cellmotion_jax.data.track_table import TrackTable
from cellmotion_jax.files.tables import columns_of
from cellmotion_jax.inference.ctc_scores import SequenceScores, score_columns
from cellmotion_jax.methods.celltrack import tracks
from cellmotion_jax.methods.celltrack_embedding import experiment as of_celltrack_embedding
from cellmotion_jax.methods.celltrack_rcnn import results as of_celltrack_rcnn
from cellmotion_jax.methods.convlstm import results as of_convlstm
from cellmotion_jax.methods.deep_distance import results as of_deep_distance
from cellmotion_jax.methods.deepcell import evaluation as of_deepcell
from cellmotion_jax.methods.direction import results as of_direction
from cellmotion_jax.methods.recognet import results as of_recognet
from cellmotion_jax.metrics.aogm import edge_errors, node_errors
from cellmotion_jax.metrics.ctc import CtcScores
from cellmotion_jax.metrics.ctc_matching import match_frame, segmentation_score
from cellmotion_jax.morphology.behaviour import cell_table
from cellmotion_jax.morphology.cell_shapes import cell_shapes
from cellmotion_jax.morphology.protrusions import find_protrusions
from cellmotion_jax.morphology.tip_table import tip_table
from cellmotion_jax.pipeline import segment
from cellmotion_jax.pipeline.link import TrackPlaces
from cellmotion_jax.training import logging
from tests.label_images import discs

PAGE = pathlib.Path(__file__).parents[1] / "docs" / "tables.md"
UNITS = {
    "px": "px",
    "px2": "px²",
    "um": "µm",
    "um2": "µm²",
    "rad": "rad",
    "deg": "°",
    "um_per_min": "µm/min",
    "px_per_frame": "px/frame",
}
PLACES = {"y", "x", "y0", "x0", "y1", "x1"}


def documented():
    """Columns, with their unit as the page states it, of every table of the page."""
    tables, name = {}, ""
    for line in PAGE.read_text(encoding="utf-8").splitlines():
        if line.startswith("## "):
            name = line.removeprefix("## ")
            tables[name] = {}
        elif line.startswith("| ") and not line.startswith(("| column |", "| --- |")):
            column, unit, meaning = (cell.strip() for cell in line.strip("| ").split("|"))
            assert column not in tables[name], f"{name} lists {column} twice"
            assert meaning, f"{name} does not say what {column} is"
            tables[name][column] = unit
    return tables


def measured():
    """Tables of a cell with an arm, in all forms that `measure` writes."""
    masks = [discs((60, 90), (30, 20 + step, 12)) for step in range(2)]
    for mask in masks:
        mask[29:32, 30:80] = 1
    shapes, ids = [cell_shapes(mask) for mask in masks], [np.array([1])] * 2
    tips = [find_protrusions(mask, pixel_size_um=0.5) for mask in masks]
    full = cell_table(shapes, ids, protrusions=tips, pixel_size_um=0.5, frame_interval_s=60.0)
    followed = tip_table(tips, ids, full, pixel_size_um=0.5)
    assert len(followed) == 2
    return (
        [columns_of(full, pixel_size_um=0.5), columns_of(cell_table(shapes, ids))],
        [columns_of(followed, pixel_size_um=0.5)],
    )


def places(size, probability):
    one = np.ones(1)
    whole = np.ones(1, int)
    table = TrackPlaces(
        track=whole,
        frame=whole,
        y=one,
        x=one,
        area=whole,
        parent=whole,
        pixel_size_um=size,
        probability=probability,
    )
    return columns_of(table, pixel_size_um=size)


def scores():
    matches = [match_frame(np.eye(3, dtype=int), np.eye(3, dtype=int))]
    lineage = TrackTable(*np.array([[1], [0], [0], [0]]))
    links = edge_errors(matches, lineage, lineage)
    one = CtcScores(segmentation_score(matches), node_errors(matches), links)
    return ["result", "sequence", *score_columns(SequenceScores(one, one))]


@pytest.fixture(scope="module")
def written():
    """Headers of every table, in every form that it has."""
    movie = simulate(Simulation(frames=2, height=64, width=64, cells=2, cell_area_um2=300.0, seed=1))
    cells, tips = measured()
    filters = ("y_um", "x_um")
    return {
        "detections.csv of `segment`": [segment.COLUMNS, segment.COLUMNS + segment.COLUMNS_IN_UM],
        "drift.csv of `segment --drift`": [correct.COLUMNS, correct.COLUMNS + correct.COLUMNS_IN_UM],
        "tracks.csv of `track --by filters`": [tracks.COLUMNS, tracks.COLUMNS + filters],
        "tracks.csv of `track --by linking` and `--by rcnn`": [
            places(None, None),
            places(0.5, None),
            places(0.5, np.ones(1)),
        ],
        "cells.csv of `measure`": cells,
        "tips.csv of `measure`": tips,
        "01_truth.csv of `simulate`": [columns_of(movie.cells, pixel_size_um=0.5)],
        "01_tips.csv of `simulate`": [columns_of(movie.tips, pixel_size_um=0.5)],
        "scores of `evaluate --out FILE.csv`": [scores()],
        "metrics.csv of every training": [logging.HEADER],
        "results.csv of the direction experiments": [of_direction.HEADER],
        "results.csv of deep-distance": [of_deep_distance.HEADER],
        "results.csv of convlstm": [of_convlstm.HEADER],
        "results.csv of celltrack-rcnn": [of_celltrack_rcnn.HEADER],
        "results.csv of celltrack-embedding": [of_celltrack_embedding.HEADER],
        "results.csv of recognet": [of_recognet.HEADER],
        "results.csv of deepcell": [of_deepcell.HEADER],
    }


def test_the_page_lists_what_is_written_in_its_order(written):
    pages = documented()
    assert list(pages) == list(written)
    for name, headers in written.items():
        listed = list(pages[name])
        for header in headers:
            assert list(header) == [column for column in listed if column in set(header)], name
        assert set(listed) == set().union(*headers), name


def test_every_unit_is_in_the_name_of_its_column():
    ends = re.compile(rf".+_({'|'.join(sorted(UNITS, key=len, reverse=True))})")
    for table, columns in documented().items():
        for column, unit in columns.items():
            found = ends.fullmatch(column)
            if column in PLACES:
                assert unit == "px", (table, column)
            elif not column.startswith("E_deg"):
                assert unit == (UNITS[found[1]] if found else ""), (table, column)


def test_no_table_of_the_package_is_missing():
    names = set()
    for path in pathlib.Path(cellmotion_jax.__file__).parent.rglob("*.py"):
        names |= set(re.findall(r'/ "(\w+\.csv)"', path.read_text(encoding="utf-8")))
    assert len(names) >= 8
    assert {name for name in names if not any(title.startswith(name) for title in documented())} == set()
