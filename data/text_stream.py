"""Text files as a stream of checked UTF-8, whatever they are packed and encoded in."""

import codecs
import gzip
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import BinaryIO, cast

from charset_normalizer import from_bytes

PIECE = 1 << 22  # bytes read at a time
_SAMPLE = 1 << 18  # bytes looked at to tell an encoding
_BOMS = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32-le"),
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)


class TableError(ValueError):
    """A file cannot be read as a table; the message says what is wrong, where and what to do."""


def is_gzip(path: Path) -> bool:
    """Whether the file is packed with gzip, told by its first bytes and not by its name."""
    with path.open("rb") as file:
        return file.read(2) == b"\x1f\x8b"


def check_file(path: Path) -> None:
    """Raise `TableError` unless there is a readable file with something in it."""
    try:
        if not path.exists():
            raise TableError(f"there is no file {path}")
        if not path.is_file():
            raise TableError(f"{path} is not a file")
        if path.stat().st_size == 0:
            raise TableError(f"{path} is empty")
        packed = is_gzip(path)
    except OSError as error:
        raise TableError(f"{path} cannot be read: {error.strerror or error}") from error
    if path.suffix.lower() == ".gz" and not packed:
        raise TableError(f"{path} is named .gz but is not packed with gzip; take .gz off its name")


def raw_pieces(path: Path) -> Iterator[bytes]:
    """The bytes of a file piece by piece, unpacked if it is gzip.

    Raises
    ------
    TableError
        The file is missing, empty, damaged, or cut off.
    """
    check_file(path)
    done = 0
    with cast(BinaryIO, gzip.open(path, "rb")) if is_gzip(path) else path.open("rb") as file:
        while True:
            try:
                piece = file.read(PIECE)
            except EOFError:
                raise TableError(
                    f"{path} is cut off: the gzip stream has no end after the first {done:,} "
                    "unpacked bytes; fetch the file again"
                ) from None
            except (OSError, zlib.error) as error:
                raise TableError(
                    f"{path} is damaged after the first {done:,} unpacked bytes ({error}); "
                    "fetch the file again"
                ) from error
            if not piece:
                break
            done += len(piece)
            yield piece
    if not done:
        raise TableError(f"{path} is empty once unpacked")


def utf8_pieces(path: Path, encoding: str | None = None) -> Iterator[bytes]:
    """The text of a file as UTF-8 without a byte order mark, piece by piece.

    As long as there is nothing but ASCII the encoding is left open; it is told from the first
    piece that holds anything else, so a Chinese remark in row 500,000 is not too late.

    Parameters
    ----------
    path : Path
        A text file, packed with gzip or not.
    encoding : str, optional
        Its encoding, any name that Python knows. By default a byte order mark decides, then
        whether the bytes are valid UTF-8, then likeness to UTF-16, GB18030 and others.

    Raises
    ------
    TableError
        The file cannot be read, its encoding is not known or cannot be told, or a byte is not
        valid in it (the message gives its offset and line).
    """
    decoder = _Decoder(path, encoding)
    for piece in raw_pieces(path):
        yield decoder.feed(piece)
    yield decoder.feed(b"", final=True)


class _Decoder:
    def __init__(self, path: Path, encoding: str | None) -> None:
        self.path, self.named = path, encoding is not None
        self.offset, self.line, self.started = 0, 1, False
        self.encoding = _lookup(encoding) if encoding else None
        self.decoder: codecs.IncrementalDecoder | None = None

    def feed(self, piece: bytes, final: bool = False) -> bytes:
        if not self.started and not final:
            piece = self._start(piece)
        if self.encoding is None and not piece.isascii():
            self.encoding = self._detect(piece)
        self.offset += len(piece)
        if self.encoding is None:
            text = piece
        elif self.encoding == "utf-8":
            self._decode(piece, final)
            text = piece
        else:
            text = self._decode(piece, final).encode()
        if b"\0" in text:
            line = self.line + text[: text.index(b"\0")].count(b"\n")
            raise TableError(
                f"{self.path}, line {line:,}: there is a NUL byte, which no text file has; the "
                "file is damaged, or it is not text"
            )
        self.line += text.count(b"\n")
        return text

    def _start(self, piece: bytes) -> bytes:
        self.started = True
        for mark, name in _BOMS:
            if piece.startswith(mark) and self.encoding in (None, name, name[:-3]):
                self.encoding, self.offset = name, len(mark)
                return piece[len(mark) :]
        if self.encoding is None:
            self.encoding = _wide(piece[:_SAMPLE])
        return piece

    def _decode(self, piece: bytes, final: bool) -> str:
        assert self.encoding is not None
        if self.decoder is None:
            self.decoder = codecs.getincrementaldecoder(self.encoding)()
        try:
            return self.decoder.decode(piece, final)
        except UnicodeDecodeError as error:
            before = error.object[: error.start]
            at = self.offset - len(error.object) + error.start
            hint = "it was named so" if self.named else "the rest of the file looks so"
            raise TableError(
                f"{self.path}, line {self.line + before.count(10):,}, byte {at:,}: "
                f"0x{error.object[error.start]:02X} is not valid {self.encoding} ({hint}); mend "
                "that line, or name the right encoding"
            ) from None

    def _detect(self, piece: bytes) -> str:
        first = next(i for i in range(0, len(piece), 4096) if not piece[i : i + 4096].isascii())
        name = detect(piece[first : first + _SAMPLE])
        if name is None:
            raise TableError(
                f"{self.path}: the encoding cannot be told (neither UTF-8 nor GB18030 nor another "
                f"that is known, from byte {self.offset + first:,} on); name it"
            )
        return name


def _lookup(encoding: str) -> str:
    try:
        name = codecs.lookup(encoding).name
        codecs.getincrementaldecoder(name)
        "a".encode(name).decode(name)
    except (LookupError, TypeError, AttributeError):
        raise TableError(
            f"the encoding {encoding!r} is not known; give utf-8, gb18030, utf-16 or another "
            "that Python knows"
        ) from None
    # A superset of what such files claim to be: Windows writes GBK and calls it GB2312.
    return {"gb2312": "gb18030", "gbk": "gb18030", "utf-8-sig": "utf-8"}.get(name, name)


def _wide(sample: bytes) -> str | None:
    """UTF-16 without a mark: in ASCII text of two bytes a character, every other byte is NUL."""
    even, odd = sample[0::2].count(0), sample[1::2].count(0)
    if max(even, odd) < 0.2 * len(sample) / 2 or min(even, odd) > 0.05 * max(even, odd):
        return None
    return "utf-16-le" if odd > even else "utf-16-be"


def detect(sample: bytes) -> str | None:
    """The likely encoding of text that is not all ASCII; None if nothing fits.

    A sample with a stray byte is still UTF-8 if nine in ten of its other characters are, so that
    the byte is reported and the file not read as something else.

    Examples
    --------
    >>> detect("路灯不亮".encode()), detect("路灯不亮".encode("gbk"))
    ('utf-8', 'gb18030')
    """
    if _share(sample, "utf-8", lambda c: c != "\ufffd") >= 0.9:
        return "utf-8"
    if _share(sample, "gb18030", _is_gb2312) >= 0.9:
        return "gb18030"
    best = from_bytes(sample[:65536]).best()
    return None if best is None or best.encoding == "ascii" else _lookup(best.encoding)


def _share(sample: bytes, encoding: str, good: Callable[[str], bool]) -> float:
    """The share of the characters beyond ASCII that are good when decoded so."""
    text = codecs.getincrementaldecoder(encoding)("replace").decode(sample)
    beyond = [c for c in text if not c.isascii()]
    return sum(map(good, beyond)) / max(len(beyond), 1)


def _is_gb2312(char: str) -> bool:
    try:
        char.encode("gb2312")
    except UnicodeEncodeError:
        return False
    return True
