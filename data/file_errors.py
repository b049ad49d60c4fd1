"""The error of files that cannot be read or written as they are."""


class FileError(ValueError):
    """A file is not what it should be; the message says which file, what, where, what to do."""
