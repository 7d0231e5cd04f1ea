"""A fuzz of the whole command line: inputs without meaning, damaged files, outputs that cannot be written.

``python benchmarks/fuzz.py --minutes 60`` runs all of it and prints the table of outcomes by kind; the suite runs a
selection. In reading order: `case` (an input and the kinds of outcome), `server` (forks a child per input),
`runner` (gives it a folder, limits, and collects), `outcome` (classifies its end), `options` (finds the options of
a command), then the inputs: `settings`, `command_lines`, `paths`, `tables`, `tiff_bytes` and `images`, `models`,
`weights`, `runs`, `reported`; `base_files` makes what is sound, `campaign` joins everything.
"""
