"""Files and folders that are either complete or absent, whatever ends the process that writes them.

Every output is written by one of three context managers. `written_beside` writes a file, and `output_folder`
a folder, under a hidden name, and renames it when the block ends well. `run_folder` opens the folder of a
training, which is continued. All of them check the place before any work is done, refuse it while another
process writes there (`locks`), remove what a killed process has left, and answer a full disk with one
sentence (`failures`). `interruption` ends a command at a signal without leaving anything behind.
"""

from cellmotion_jax.files.folders import NotEmpty, output_folder, run_folder
from cellmotion_jax.files.written import write_csv, write_text, written_beside

__all__ = [
    "NotEmpty",
    "output_folder",
    "run_folder",
    "write_csv",
    "write_text",
    "written_beside",
]
