import re

import pytest

from layers.i18n import TEXTS, Texts
from layers.page import ASSETS


@pytest.mark.parametrize("key", TEXTS)
def test_both_languages_say_the_same_things(key):
    chinese, english = TEXTS[key]
    places = [sorted(re.findall(r"{(\w+)}", text)) for text in (chinese, english)]
    assert chinese and english
    assert places[0] == places[1]


def test_every_text_that_a_page_asks_for_is_there_and_none_is_idle():
    sources = [p.read_text(encoding="utf-8") for p in ASSETS.iterdir()]
    sources += [
        p.read_text(encoding="utf-8") for p in ASSETS.parent.glob("*.py") if p.stem != "i18n"
    ]
    text = "\n".join(sources)
    asked = set(re.findall(r"\b(?:t|say)\(\s*[\"']([a-z_]+)[\"']", text))
    assert asked <= set(TEXTS)
    built = {"layer_water", "layer_roads", "layer_borders", "layer_dedicated", "layer_beats"}
    idle = {key for key in TEXTS if f'"{key}"' not in text and f"'{key}'" not in text} - built
    assert not idle


def test_unknown_language():
    with pytest.raises(ValueError, match="'fr' is not known; use one of zh, en"):
        Texts("fr")  # type: ignore[arg-type]
