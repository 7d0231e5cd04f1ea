"""From an experiment to a trained and evaluated model; read `direction.py` first."""
