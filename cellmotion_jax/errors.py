"""The exceptions that the command line answers with one sentence."""


class InputError(ValueError):
    """Bad input, told in one sentence that names the culprit and what would be right.

    The command line prints the sentence and exits with code 2; a script sees an ordinary
    ``ValueError``.
    """


class TrainingDiverged(RuntimeError):
    """The loss or its gradient is no longer finite; the last good checkpoint is kept.

    The command line prints the sentence and exits with code 1.
    """
