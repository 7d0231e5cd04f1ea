"""Reading of weight files of other libraries, their conversion, and our own model file."""
