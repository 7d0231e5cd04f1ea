"""Pretrained weights: reading the files that other libraries write, and converting them to ours."""
