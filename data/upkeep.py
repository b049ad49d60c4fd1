"""What is done by the clock to keep the house: each task at its hour, once, by any worker."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import Connection

from data import (
    account_deeds,
    early_warnings,
    events,
    identities,
    people,
    positions,
    questions,
    referral_rules,
    referrals,
    requests,
    return_visits,
    sign_in,
    supervision,
    timers,
    visit_plans,
    watching,
    whistle_rules,
    whistles,
)
from data.analyses import kept
from data.indicators import prepared
from data.settings import settings


@dataclass(frozen=True)
class Task:
    """Something to do in a transaction of its own.

    Attributes
    ----------
    cron : when, in UTC: minute, hour, day of the month, month, day of the week
    run : called with the connection and the time; returns how many rows it changed
    """

    cron: str
    run: Callable[[Connection, datetime], int]


def _clean_events(connection: Connection, now: datetime) -> int:
    return events.clean(connection, now, settings().event_days)


def _forget_tracks(connection: Connection, now: datetime) -> int:
    return positions.forget(connection, now - timedelta(days=settings().track_days))


def _clean_requests(connection: Connection, _now: datetime) -> int:
    return requests.clean(connection)


def _add_up(connection: Connection, now: datetime) -> int:
    return prepared.refresh(connection, now, settings().timezone)


def _clean_accounts(connection: Connection, _now: datetime) -> int:
    cleaned = (sign_in.clean, identities.clean, account_deeds.clean)
    return sum(clean(connection) for clean in cleaned)


# What follows by itself when a clock comes to a stage: another is another line here.
timers.on("order", timers.EVERY, supervision.issue_by_itself)
for _clock in whistle_rules.CLOCKS:
    timers.on("late", _clock, whistles.escalate)
for _clock in referral_rules.CLOCKS:
    timers.on("late", _clock, referrals.escalate)

# What cannot wait for its hour: called every moment by every worker, again until it returns 0.
ALWAYS: dict[str, Callable[[Connection], int]] = {
    "fire timers": timers.fire,
}

# Another periodic task is another line here.
TASKS: dict[str, Task] = {
    "clean events": Task("7 * * * *", _clean_events),
    "forget tracks": Task("17 * * * *", _forget_tracks),
    "clean requests": Task("27 * * * *", _clean_requests),
    "clean accounts": Task("47 * * * *", _clean_accounts),
    "look at watched places": Task("* * * * *", watching.look),
    "add indicators up": Task("* * * * *", _add_up),
    "make visits due": Task("*/5 * * * *", visit_plans.keep),
    "wait no longer for answers": Task("*/5 * * * *", questions.give_up),
    "give up return visits": Task("*/10 * * * *", return_visits.give_up),
    "look for what is more than usual": Task("*/5 * * * *", early_warnings.keep),
    "forget analyses": Task("47 * * * *", kept.clean),
    "forget people": Task("37 * * * *", people.expire),
}
