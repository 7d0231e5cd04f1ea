"""The exceptions that the command line answers with one sentence."""


class InputError(ValueError):
    """Bad input, told in one sentence that names the culprit and what would be right.

    The command line prints the sentence and exits with code 2; a script sees an ordinary
    ``ValueError``.
    """


class OutputFailed(InputError):
    """An output could not be written, for example since the disk is full; what was there before is whole."""


class AlreadyComplete(Exception):  # Not an error
    """The same command has completed this output before, and was killed before it could say so.

    The command line prints the sentence and exits with code 0.
    """


class TrainingDiverged(RuntimeError):
    """The loss or its gradient is no longer finite; the last good checkpoint is kept.

    The command line prints the sentence and exits with code 1.
    """
