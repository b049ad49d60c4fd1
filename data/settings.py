"""Every setting of the program in one place: environment variables that begin with WANGGE_."""

from functools import cache
from pathlib import Path
from typing import Literal

from pydantic import Field, SecretStr
from pydantic_settings import BaseSettings, SettingsConfigDict

ROOT = Path(__file__).resolve().parent.parent


class Settings(BaseSettings):
    """Settings with their defaults; the README's table is made from these descriptions."""

    model_config = SettingsConfigDict(env_prefix="WANGGE_", env_file=".env", extra="ignore")

    home: Path = Field(
        default=ROOT / ".wangge", description="where the private database, the roads and logs live"
    )
    database_url: str | None = Field(
        default=None,
        description="another PostGIS, `postgresql://…`; empty: the private one in `WANGGE_HOME`",
    )
    host: str = Field(default="127.0.0.1", description="address that the web server listens on")
    port: int = Field(
        default=8000, ge=1, le=65535, description="port that the web server listens on"
    )
    accuracy_m: float = Field(
        default=20.0,
        gt=0,
        le=5000,
        description="accuracy of a position that names none, metres (radius)",
    )
    border_m: float = Field(
        default=1.0, ge=0, le=100, description="a point this close to a border, metres, lies on it"
    )
    snap_m: float = Field(
        default=200.0,
        ge=0,
        le=50_000,
        description="a point outside every grid goes to the nearest one within this, metres",
    )
    answer_ttl_s: int = Field(
        default=86_400,
        ge=0,
        description="how long a client may keep an answer of `/locate`, seconds",
    )
    position_fresh_s: int = Field(
        default=1800,
        gt=0,
        description="a resource's last position counts for so long, seconds; then its home does",
    )
    position_accuracy_m: float = Field(
        default=200.0,
        gt=0,
        description="a resource's position less accurate than this, metres, does not count",
    )
    track_days: int = Field(
        default=30, ge=1, le=3650, description="how long tracks of resources are kept, days"
    )
    timezone: str = Field(
        default="Asia/Shanghai", description="time zone of the screen and of files without one"
    )
    event_days: float = Field(
        default=7.0, gt=0, description="how long events and delivered messages are kept, days"
    )
    delivery_tries: int = Field(
        default=20, ge=1, le=100, description="after so many tries a message is dead"
    )
    delivery_wait_s: float = Field(
        default=5.0,
        gt=0,
        le=3600,
        description="between the first two tries, seconds; doubled up to an hour",
    )
    delivery_timeout_s: float = Field(
        default=10.0, gt=0, le=60, description="a receiver has to answer within this, seconds"
    )
    webhook_loopback: bool = Field(
        default=False, description="webhooks may lead to this machine itself"
    )
    session_idle_min: float = Field(
        default=60.0, gt=0, description="who does nothing for so long is signed out, minutes"
    )
    session_hours: float = Field(
        default=12.0, gt=0, description="after so long everybody signs in again, hours"
    )
    sign_in_tries: int = Field(
        default=30, ge=1, description="wrong tries to sign in per address and minute"
    )
    trusted_proxies: str = Field(
        default="",
        description="addresses or networks, with commas between, of proxies whose word counts for "
        "who asks (`X-Forwarded-For`, `X-Forwarded-Proto`); empty: none",
    )
    approval_hours: float = Field(
        default=24.0,
        gt=0,
        le=720,
        description="so long a change to an administrator's account waits for a second person, "
        "hours",
    )
    oidc_issuer: str | None = Field(
        default=None, description="sign-in with OpenID Connect: the provider, `https://…`"
    )
    oidc_client_id: str | None = Field(
        default=None, description="the name by which the provider knows this service"
    )
    oidc_client_secret_file: Path | None = Field(
        default=None, description="file with the secret beside it; empty: PKCE alone"
    )
    oidc_label: str = Field(
        default="统一身份认证 · Single sign-on", description="what the button says"
    )
    oidc_match: Literal["link", "email", "preferred_username"] = Field(
        default="link",
        description="how somebody unknown finds their account: `link`: who gives accounts links "
        "it; else by the login that equals this claim",
    )
    personal_key: SecretStr | None = Field(
        default=None,
        description="keys of personal data in base64; empty: those in `WANGGE_HOME/personal.key`",
    )
    visit_tries: int = Field(
        default=3,
        ge=1,
        le=100,
        description="a reporter who was called so often in vain could not be reached",
    )
    visit_retry_h: float = Field(
        default=4.0, ge=0, le=720, description="between two calls to a reporter, hours"
    )
    visit_link_days: float = Field(
        default=7.0,
        ge=0,
        le=365,
        description="how long a reporter without a telephone is waited for, days",
    )
    reply_days: float = Field(
        default=3.0,
        gt=0,
        le=365,
        description="how long a reporter who was asked something is waited for, days",
    )
    warning_rate: float = Field(
        default=0.05,
        gt=0,
        le=0.5,
        description="share of false ones among warnings, in the long run",
    )
    warning_hours: float = Field(
        default=8.0,
        gt=0,
        le=720,
        description="to accept a warning without a service time `warning.accept`, working hours",
    )
    visit_late_days: float = Field(
        default=15.0,
        ge=0,
        le=365,
        description="an answer that comes so long after closing still counts, days",
    )
    smtp_url: str | None = Field(
        default=None, description="`smtp://USER:PASSWORD@HOST:587?from=ADDRESS`, or `smtps://`"
    )
    vapid_key: str | None = Field(
        default=None, description="private key for Web Push: a PEM file, or its 32 bytes in base64"
    )
    vapid_contact: str | None = Field(
        default=None, description="`mailto:` or `https:` for the push services' operators"
    )


@cache
def settings() -> Settings:
    """The settings of this process, read once from the environment and `.env`."""
    return Settings()
