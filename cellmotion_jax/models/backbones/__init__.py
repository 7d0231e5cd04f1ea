"""Feature extractors with published pretrained weights, one file per network.

Each is called as ``backbone(images, train=...)`` on images of three channels, scaled as its weights expect
(``inputs.InputScaling``), and returns a named tuple of feature maps from fine to coarse; the last is the one
that a classifier would pool.
"""
