"""What is wrong with what came in."""


class FileError(ValueError):
    """A file is not what it should be; the message says which file, what, where, what to do."""


class InputError(ValueError):
    """Something that cannot be taken or done as it was asked for; nothing was changed.

    The sentence says why and what to do, `field` names what to mend, and `reason` says why in a
    word that programs know; `api.problems` makes a problem of each.
    """

    def __init__(self, message: str, where: str, reason: str) -> None:
        super().__init__(message)
        self.field, self.reason = where, reason
