"""A fuzz of the whole command line: senseless settings, damaged files, outputs that cannot be written.

``python benchmarks/fuzz.py --minutes 60`` runs all of it and prints the table of outcomes by kind; the suite
runs a selection. In reading order:

- `case` (an input and the kinds of outcome), `server` (forks a child per input), `runner` (gives it a
  folder and limits), `outcome` (classifies its end), `options` (finds the options of a command);
- the inputs: `settings`, `command_lines`, `paths`, `tables`, `images` (with `tiff_bytes`), `zarr_files`,
  `models`, `weights` (with `weight_sources` and `weight_files`), `runs`, `reported`;
- `base_files` makes what is sound, `campaign` joins everything;
- `test_any_values` draws any values for settings and any text for tables.
"""
