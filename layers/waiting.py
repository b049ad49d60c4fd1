"""The page that stands where a map is being worked out, and says how far it is."""

from html import escape

from layers.i18n import Lang, Texts

WORDS: dict[str, tuple[str, str]] = {
    "working": ("正在计算……", "Working it out …"),
    "by_itself": ("算好后本页自动显示", "The page appears by itself when it is done"),
}
_PAGE = """<!DOCTYPE html>
<html lang="{lang}"><meta charset="utf-8"><title>{title}</title>
<meta name="viewport" content="width=device-width, initial-scale=1">
<link rel="icon" href="data:,">
<style>
body{{font:1rem/1.6 "Noto Sans CJK SC","Noto Sans SC",system-ui,sans-serif;color:#22344d;
background:#eceae4;max-width:34rem;margin:28vh auto 0;padding:0 1.5rem}}
h1{{font-size:1.5rem;font-weight:600;margin:0}}
progress{{width:100%;height:.8rem;accent-color:#0b5c94}}
p{{margin:.3rem 0;color:#5d6b7d}}
</style>
<h1>{title}</h1>
<p role="status">{working}</p>
<progress max="1" value="{share:.3f}" aria-label="{working}"></progress>
<p>{by_itself}</p></html>
"""


def waiting(title: str, share: float, *, lang: Lang = "zh") -> str:
    """The page (HTML) for a map of this title of which a share (0 to 1) is worked out."""
    say = Texts(lang, WORDS)
    return _PAGE.format(
        lang="zh-CN" if lang == "zh" else lang,
        title=escape(title),
        working=say("working"),
        by_itself=say("by_itself"),
        share=share,
    )
