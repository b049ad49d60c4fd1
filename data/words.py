"""What people may name, and by which words: a mediator is a 调解员 is a Mediator."""

import unicodedata
from collections.abc import Iterable, Sequence
from difflib import get_close_matches

MOST_LISTED = 30  # of what there is, in a sentence


def plain(word: str) -> str:
    """A name or title as it is compared: case, width and blanks do not count."""
    return "".join(unicodedata.normalize("NFKC", word).casefold().split())


class Words:
    """What can be named, by name or by Chinese or English title.

    >>> kinds = Words("kind of resource", [("mediator", ["调解员", "Mediator"])])
    >>> kinds.find("调解员"), kinds.find("MEDIATOR"), kinds.find("cook")
    ('mediator', 'mediator', None)

    With `shortened` the beginning of a title will do if it is that of one alone.

    >>> Words("shift", [("day", ["白班 8:00–20:00"])], shortened=True).find("白班")
    'day'
    """

    def __init__(
        self, what: str, entries: Iterable[tuple[str, Sequence[str]]], *, shortened: bool = False
    ) -> None:
        self.what, self._shortened = what, shortened
        self.titles: dict[str, str] = {}
        self._by_title: dict[str, set[str]] = {}
        for name, titles in entries:
            self.titles[name] = titles[0] if titles else name
            for title in titles:
                self._by_title.setdefault(plain(title), set()).add(name)
        self._by_name = {plain(name): name for name in self.titles}

    def find(self, spelt: str) -> str | None:
        """The name of what was meant; None if that is unknown, or could be several."""
        key = plain(spelt)
        if key in self._by_name:
            return self._by_name[key]
        meant = self._meant(key)
        return next(iter(meant)) if len(meant) == 1 else None

    def _meant(self, key: str) -> set[str]:
        """The names of the title, or else of those that begin so."""
        meant = self._by_title.get(key, set())
        if meant or not self._shortened or not key:
            return meant
        return set().union(*(n for title, n in self._by_title.items() if title.startswith(key)))

    def fault(self, spelt: str) -> str:
        """Why `find` gave None: a sentence with what there is."""
        if meant := sorted(self._meant(plain(spelt))):
            return f"{spelt!r} is the title of several: give one of {', '.join(meant)}"
        if not self.titles:
            return f"there is no {self.what} {spelt!r}; there are none yet: import a catalogue"
        listed = [f"{name} {title}" for name, title in self.titles.items()]
        if len(listed) > MOST_LISTED:
            near = get_close_matches(plain(spelt), [*self._by_name, *self._by_title], n=5)
            listed = [n for n in listed if any(plain(w) in near for w in n.split(" ", 1))]
            rest = len(self.titles) - len(listed)
            listed.append(f"{rest} more, which GET /api/v1/catalogue lists")
        return f"there is no {self.what} {spelt!r}; there are {', '.join(listed)}"
