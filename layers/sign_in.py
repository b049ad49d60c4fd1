"""The page on which people sign in."""

import json

from markupsafe import Markup

from layers.i18n import Lang, Texts
from layers.page import ASSETS, templates

TEXTS: dict[str, tuple[str, str]] = {
    "switch": ("English", "中文"),
    "sign_in_title": ("登录 · 网格", "Sign in · Wangge"),
    "login": ("账号", "Login"),
    "password": ("密码", "Password"),
    "code": ("动态验证码（6 位数字）", "Six digits of the authenticator app"),
    "sign_in": ("登录", "Sign in"),
    "wrong": (
        "账号、密码或验证码不对，请重新输入",
        "Login, password or digits are wrong; try again",
    ),
    "locked": (
        "连续输错次数过多，账号暂时锁定；请稍候或联系账号管理员",
        "Too many wrong tries: the account is locked for a while; wait, or ask who gives accounts",
    ),
    "second_factor": ("请再输入动态验证码", "Give the six digits, too"),
    "enrol": (
        "该角色需要动态验证码，请联系账号管理员开通",
        "This role asks for a second factor; have it set up by who gives accounts",
    ),
    "away": ("服务没有应答，请稍后再试", "The service does not answer; try again in a moment"),
}
WHY = ("wrong", "locked", "second_factor", "enrol", "away")


def sign_in(target: str, lang: Lang) -> str:
    """The page; `target` is where it leads, an address of this service."""
    t = Texts(lang, TEXTS)
    words = {why: t(why) for why in WHY}
    return templates.get_template("sign_in.html").render(
        t=t,
        style=Markup((ASSETS / "sign_in.css").read_text(encoding="utf-8")),
        words=_script(words),
        target=_script(target),
        next=target,
        switch="en" if lang == "zh" else "zh",
    )


def _script(value: object) -> Markup:
    """A value in a script, in which nothing ends it."""
    return Markup(json.dumps(value, ensure_ascii=False).replace("<", "\\u003c"))
