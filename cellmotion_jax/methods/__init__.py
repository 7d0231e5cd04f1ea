"""The methods, one folder each, with the same file names in each folder.

In reading order: ``data`` (where the samples come from) and ``records`` (how they are stored),
``augmentation``, ``objective`` (the loss), ``experiment`` (training, from top to bottom, and the experiments
by name), ``evaluation`` and ``results``; ``model_file`` (the trained network and its file) and, where the
method finds cells, ``segmenter`` (the network applied to a movie). Networks are in `cellmotion_jax.models`,
losses in `cellmotion_jax.losses`. A method imports no other method, except for ``celltrack_embedding``, which
builds on ``celltrack``, which takes features from ``recognet``.
"""
