"""The one exception that means: what the user handed in is at fault, not the program."""


class InputError(ValueError):
    """Bad input, told in one sentence that names the culprit and what would be right.

    The command line prints the sentence and exits with code 2; a script sees an ordinary
    ``ValueError``.
    """
