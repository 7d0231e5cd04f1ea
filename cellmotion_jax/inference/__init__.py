"""What several methods need to go from images to answers: segmenters, tiling, linking, scores of a result."""
