"""Evaluation of the ConvLSTM U-Net: loss on validation windows, and SEG and Jaccard index of whole frames."""

from __future__ import annotations

import pathlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import flax.linen as nn
import jax
import numpy as np
import tqdm
from jaxtyping import Float32, Int32, Num

from cellmotion_jax.data.annotated import AnnotatedImage
from cellmotion_jax.data.annotated_image import consecutive_frames, read_finite_picture
from cellmotion_jax.data.downsampling import upsample_map
from cellmotion_jax.data.pipeline import Source, gather
from cellmotion_jax.files import interruption
from cellmotion_jax.inference.tiling import Tiling
from cellmotion_jax.methods.convlstm.foreground import Memory, foreground_maps
from cellmotion_jax.methods.convlstm.instances import InstanceSettings, find_instances
from cellmotion_jax.methods.convlstm.model_file import ConvLSTMModel
from cellmotion_jax.metrics import FrameMatches, jaccard_index, match_frame, segmentation_score
from cellmotion_jax.training.state import Best, TrainState
from cellmotion_jax.training.step import Objective, side_by_side


class FrameResult(NamedTuple):
    """Result of one annotated frame."""

    image: AnnotatedImage
    matches: FrameMatches
    """Matches of found and annotated cells, by the rule of SEG."""
    jaccard: float
    """Jaccard index of cell and background, over pixels that are annotated."""


class PartResult(NamedTuple):
    """Results of the frames of one part."""

    name: str
    frames: tuple[FrameResult, ...]

    @property
    def seg(self) -> float:
        """SEG over all cells of all frames."""
        return segmentation_score(frame.matches for frame in self.frames).seg

    @property
    def jaccard(self) -> float:
        """Mean Jaccard index of the frames."""
        return float(np.mean([frame.jaccard for frame in self.frames]))


def make_evaluation(
    network: nn.Module,
    objective: Objective,
    windows: Source,
    images: Sequence[AnnotatedImage],
    *,
    downsample: int,
    instances: InstanceSettings,
) -> Callable[[TrainState | Best], Mapping[str, np.ndarray]]:
    """Returns a function that computes loss, Jaccard distance and SEG on validation frames, of shape [1].

    Args:
        network: Linen module.
        objective: The loss.
        windows: One per image, read anew in every evaluation.
        images: The annotated images.
        downsample: Side of the blocks over which frames are averaged.
        instances: Settings of the conversion of probabilities to cells.

    Returns:
        ``state -> metrics`` for a state with a leading member axis of length 1.
    """

    def answer(params, batch_stats, batch):
        outputs: Any = network.apply(
            {"params": params, "batch_stats": batch_stats}, batch["image"], train=False
        )
        loss, terms = objective(outputs, batch)
        return {"loss": loss, **terms}, jax.nn.softmax(outputs.logits)[0, ..., 1]

    of_window = side_by_side(answer)

    def evaluate(state: TrainState | Best) -> Mapping[str, np.ndarray]:
        rows, matches = [], []
        for index, image in enumerate(images):
            interruption.stop_if_requested()
            batch = gather(windows, np.array([[index]]))
            terms, shown = jax.device_get(of_window(state.params, state.batch_stats, batch))
            rows.append({name: float(value[0]) for name, value in terms.items()})
            y, x = (side // downsample for side in image.shape)
            # A network that has diverged finds nothing here; the training loop stops it.
            foreground = np.nan_to_num(upsample_map(shown[0, :y, :x], downsample, image.shape))
            matches.append(match_frame(image.labels(), find_instances(foreground, settings=instances)))
        means = {name: np.array([np.mean([row[name] for row in rows])]) for name in rows[0]}
        return {**means, "SEG": np.array([segmentation_score(matches).seg])}

    return evaluate


def segmented(
    model: ConvLSTMModel,
    images: Sequence[AnnotatedImage],
    *,
    memory: Memory,
    tiling: Tiling,
) -> Iterator[tuple[AnnotatedImage, Float32[np.ndarray, "y x"], Int32[np.ndarray, "y x"]]]:
    """Segments annotated images; consecutive frames of a movie are processed as one sequence.

    The first window of a sequence contains the frames before it in the movie.

    Args:
        model: The network.
        images: In the order of their movies.
        memory: Kind of memory of earlier frames.
        tiling: Tiles in downsampled pixels.

    Yields:
        Every image with the probability of a cell and the label image of cells.
    """
    for stretch in consecutive_frames(images):
        maps = foreground_maps(
            model,
            (_grey(image.image_file) for image in stretch),
            before=(_grey(file) for file in stretch[0].window_files(model.window)[:-1]),
            memory=memory,
            tiling=tiling,
        )
        for image, foreground in zip(stretch, maps):
            yield image, foreground, find_instances(foreground, settings=model.instances)


def evaluate_part(
    model: ConvLSTMModel,
    name: str,
    images: Sequence[AnnotatedImage],
    *,
    memory: Memory,
    tiling: Tiling,
) -> PartResult:
    """Segments the frames of a part and compares them with the annotation.

    Args:
        model: The network.
        name: Name of the part, for tables and the progress bar.
        images: In the order of their movies.
        memory: Kind of memory of earlier frames.
        tiling: Tiles in downsampled pixels.

    Returns:
        The result of every frame.
    """
    found = segmented(model, images, memory=memory, tiling=tiling)
    results = []
    for image, foreground, labels in tqdm.tqdm(
        found, desc=name, total=len(images), unit="frame", leave=False, disable=None
    ):
        truth, known = image.annotation()
        jaccard = jaccard_index(foreground > model.instances.threshold, truth > 0, where=known)
        results.append(FrameResult(image, match_frame(truth, labels), float(jaccard)))
    return PartResult(name, tuple(results))


def _grey(file: pathlib.Path) -> Num[np.ndarray, "y x"]:
    return read_finite_picture(file).mean(axis=-1)
