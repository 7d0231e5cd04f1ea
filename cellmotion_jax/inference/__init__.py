"""Inference shared by several methods: interface of segmenters, tiling, linking, CTC scores of results."""
