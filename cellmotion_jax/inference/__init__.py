"""From images to answers with trained networks."""
