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
        "连续输错次数过多，暂时不能登录；请稍候或联系账号管理员",
        "Too many wrong tries: wait a while, or ask who gives accounts",
    ),
    "second_factor": ("请再输入动态验证码", "Give the six digits, too"),
    "enrol": (
        "该角色需要动态验证码，请联系账号管理员开通",
        "This role asks for a second factor; have it set up by who gives accounts",
    ),
    "no_answer": ("服务没有应答，请稍后再试", "The service does not answer; try again in a moment"),
    "or": ("或", "or"),
    "away": (
        "统一认证暂时没有应答，请稍后再试，或用账号和密码登录",
        "The provider does not answer; try again in a moment, or sign in with login and password",
    ),
    "refused": (
        "统一认证的答复无效，未能登录；请重试，仍不行请联系账号管理员",
        "What the provider answered does not count; try again, else ask who gives accounts",
    ),
    "no_flow": (
        "本次登录已过期，或不是从这个浏览器开始的；请重新登录",
        "This way in has run out, or began in another browser; sign in again",
    ),
    "no_account": (
        "您还没有本系统的账号。请联系账号管理员，并告知您的统一认证编号：{subject}",
        "You have no account here yet. Ask who gives accounts, and tell them your number with the "
        "provider: {subject}",
    ),
    "ended": (
        "您的账号已停用，请联系账号管理员",
        "Your account has ended; ask who gives accounts",
    ),
}
WHY = ("wrong", "locked", "second_factor", "enrol", "no_answer", "no_flow", "ended")


def sign_in(
    target: str,
    lang: Lang,
    *,
    provider: str | None = None,
    told: str | None = None,
    subject: str = "",
    digits: bool = False,
) -> str:
    """The page.

    Parameters
    ----------
    target : where it leads, an address of this service
    provider : what the button says that leads to the provider; None: there is none
    told : why somebody who came from the provider is not in; a key of `TEXTS`
    subject : by which the provider knows them
    digits : whether the provider vouched already and only the second factor is missing
    """
    t = Texts(lang, TEXTS)
    words = {why: t(why) for why in WHY}
    return templates.get_template("sign_in.html").render(
        provider=provider,
        told=t(told, subject=subject) if told else "",
        digits=digits,
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
