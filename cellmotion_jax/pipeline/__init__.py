"""Segmentation, tracking and measurement of a movie with any method; one frame is in memory at a time.

In reading order: `segmenters` opens the file of a trained model as a `inference.segmenter.Segmenter`;
`segment` writes the cells of every frame as label images and a table; `link` joins label images of
neighbouring frames to tracks; `tracking_features` opens the file of a network whose features correlation
filters look at; `measure` measures shapes, protrusions and motion of tracked cells and draws them.
"""
