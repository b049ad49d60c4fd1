import re

import pytest

from layers import (
    analysis,
    board,
    coverage_words,
    early_warnings,
    fault,
    follow,
    forecast,
    hotspots,
    sign_in,
    waiting,
    workload,
)
from layers.dispatch_words import WORDS
from layers.i18n import Texts
from layers.page import ASSETS

BUILT = ("layer_", "urgency_", "method_", "triage_", "part_", "do_", "why_")  # and what follows


@pytest.mark.parametrize("key", WORDS)
def test_both_languages_say_the_same_things(key):
    chinese, english = WORDS[key]
    places = [sorted(re.findall(r"{(\w+)}", text)) for text in (chinese, english)]
    assert chinese and english
    assert places[0] == places[1]


def test_every_text_that_a_page_asks_for_is_there_and_none_is_idle():
    sources = [p.read_text(encoding="utf-8") for p in ASSETS.iterdir()]
    sources += [
        p.read_text(encoding="utf-8")
        for p in ASSETS.parent.glob("*.py")
        if p.stem not in ("i18n", "dispatch_words")
    ]
    text = "\n".join(sources)
    asked = set(re.findall(r"\b(?:t|say)\(\s*[\"']([a-z_]+)[\"']", text))
    apart = (sign_in.TEXTS, follow.TEXTS, fault.WORDS, board.TEXTS, coverage_words.TEXTS,
             analysis.TEXTS, waiting.WORDS, workload.TEXTS, hotspots.TEXTS,
             forecast.TEXTS, early_warnings.TEXTS)  # fmt: skip
    assert asked <= {*WORDS, *BUILT, *(key for texts in apart for key in texts)}
    idle = {key for key in WORDS if f'"{key}"' not in text and f"'{key}'" not in text}
    assert not {key for key in idle if not key.startswith(BUILT)}
    assert all(any(key.startswith(prefix) for key in WORDS) for prefix in BUILT)


def test_unknown_language():
    with pytest.raises(ValueError, match="'fr' is not known; use one of zh, en"):
        Texts("fr")  # type: ignore[arg-type]
