"""A town in which everything that the service knows has happened, and where its rows are found."""

import io
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import Any

from fastapi.testclient import TestClient
from PIL import Image
from sqlalchemy import Connection, Engine, text

from data import following
from tests import warned
from tests.api.conftest import GRIDS

API = "/api/v1"
SEVERAL = 4  # of what is ended by being asked for
_ORGANISATIONS = text("""
INSERT INTO organisation (code, name, role, area_id)
SELECT code, code, role, (SELECT id FROM area a WHERE a.code = area)
FROM (VALUES
    ('centre-440604010', 'centre', '440604010000'), ('centre-440604', 'centre', '440604000000'),
    ('village-440604010001', 'centre', '440604010001'), ('police-440604010', 'six', NULL),
    ('water-440604', 'other', NULL), ('court-440604', 'six', NULL), ('urban-440604', 'other', NULL),
    ('centre-old', 'centre', NULL)
) AS o (code, role, area)
""")
_RECORDS = text("""
INSERT INTO record (source, external_id, kind, title, address, geom, attributes, layer, area_id,
                    version_id, method, collected)
SELECT 'collector', n::text, 'rental', '出租屋', '魁奇东路', ST_PointOnSurface(v.geom), '{}',
       'grid', a.id, v.id, 'inside', now()
FROM generate_series(1, :several) n, area a JOIN area_version v ON v.area_id = a.id
WHERE a.code = :grid
""")
_GRID = text("SELECT id FROM area WHERE layer = 'grid' AND code = :grid")
_DEAD = text("""
INSERT INTO message (event_id, subscription_id, attempts, tried, error, dead)
SELECT e.id, s.id, 9, now(), 'refused', now() FROM subscription s, event e
ORDER BY e.id LIMIT :several
""")


def furnish(client: TestClient, engine: Engine, described: Mapping[str, Any]) -> None:
    """Let everything happen in the town (`conftest.build`), by the description's own examples."""
    with engine.begin() as connection:
        connection.execute(_ORGANISATIONS)
    _people(client, described)
    _cases(client, described)
    with engine.begin() as connection:
        connection.execute(_RECORDS, {"several": SEVERAL, "grid": GRIDS[0]})
        grid = connection.execute(_GRID, {"grid": GRIDS[0]}).scalar_one()
        for number in range(SEVERAL):
            warned.warn(connection, grid, f"K{number}", level=4)
    _other(client, described)
    with engine.begin() as connection:
        connection.execute(_DEAD, {"several": SEVERAL})


def _do(
    client: TestClient, described: Mapping[str, Any], method: str, template: str,
    path: Mapping[str, Any] | None = None, **more: Any,
) -> Any:  # fmt: skip
    """Send an operation its first example, in part overruled; what it answers."""
    operation = described["paths"][f"{API}{template}"][method]
    body = None
    if "requestBody" in operation:
        media = operation["requestBody"]["content"]["application/json"]
        body = {**next(iter(media["examples"].values()))["value"], **more}
    answer = client.request(method, f"{API}{template}".format(**(path or {})), json=body)
    assert answer.is_success, f"{method} {template}: {answer.text}"
    return answer.json() if answer.content else None


def _people(client: TestClient, described: Mapping[str, Any]) -> None:
    """Who can be sent, with leave and telephones."""
    for number in range(1, 21):
        more = {"external_id": f"W-{number}", "area": GRIDS[number % 8], "areas": []}
        one = {"resource": _do(client, described, "post", "/resources", **more)["id"]}
        _do(client, described, "post", "/resources/{number}/leave", {"number": one["resource"]})
        _do(client, described, "post", "/resources/{resource}/devices", one)


def _cases(client: TestClient, described: Mapping[str, Any]) -> None:
    """Cases at every stage: 1 to 4 with a whistle, to 8 with others, to 12 with their reporter."""

    def do(method: str, template: str, path: dict[str, Any], **more: Any) -> Any:
        return _do(client, described, method, template, path, **more)

    reporter = {"name": "某某", "phone": "138 0000 5678"}
    for number in range(1, 17):
        more = {"external_id": f"R-{number}", "reporter": reporter}
        case = {"number": do("post", "/reports", {}, **more)["id"]}
        for step in ({"action": "assign", "organisation": "centre-440604010"}, {}):
            client.post(f"{API}/cases/{case['number']}/steps", json={"action": "accept", **step})
        _picture(client, case["number"])
    for number in range(1, SEVERAL + 1):
        whistle = {"number": do("post", "/whistles", {}, case=number)["number"]}
        do("post", "/whistles/{number}/team", whistle, organisation="centre-440604010")
        do("post", "/whistles/{number}/visits", whistle, present=["centre-440604010"])
        do("post", "/whistles/{number}/plan", whistle, owner="centre-440604010")
        do("post", "/supervision", {}, incident=number)
    for number in range(SEVERAL + 1, 2 * SEVERAL + 1):
        do("post", "/referrals", {}, case=number)
        agreement = {"number": number, "agreement": 1}
        do("post", "/cases/{number}/agreements", {"number": number})
        do("post", "/cases/{number}/agreements/{agreement}/confirmation", agreement)
        send = [{"resource": number, "override": "near"}]
        do("post", "/incidents/{number}/dispatches", {"number": number}, send=send)
    for number in range(2 * SEVERAL + 1, 3 * SEVERAL + 1):
        resolve = {"action": "resolve", "reason": "已修好"}
        client.post(f"{API}/cases/{number}/steps", json=resolve)
    do("post", "/cases/{number}/merge", {"number": 16}, into=15)


def _picture(client: TestClient, case: int) -> None:
    file = io.BytesIO()
    Image.new("RGB", (8, 8), (case, 0, 0)).save(file, "PNG")
    sent = client.post(
        f"{API}/cases/{case}/attachments", content=file.getvalue(),
        headers={"Content-Type": "image/png"},
    )  # fmt: skip
    assert sent.status_code == 201, sent.text


def _other(client: TestClient, described: Mapping[str, Any]) -> None:
    """All that needs no case."""

    def do(method: str, template: str, path: dict[str, Any] | None = None, **more: Any) -> Any:
        return _do(client, described, method, template, path, **more)

    now = datetime.now(UTC)
    for number in map(str, range(1, SEVERAL + 1)):
        do("put", "/case-kinds/{code}", {"code": f"K{number}"})
        do("put", "/responsibilities", kind=f"K{number}")
        do("put", "/dispatch-rules", kind=f"K{number}")
        do("put", "/service-times", kind=f"K{number}")
        do("put", "/red-grids/{code}", {"code": GRIDS[int(number)]})
        do("put", "/calendars/{name}/days/{day}", {"name": "office", "day": f"2026-03-0{number}"})
        do("post", "/deployments", name=number, people={"kinds": ["grid_lead"]})
        do("post", "/subscriptions", target=f"https://desk.example/{number}")
        do("post", "/visits/plans", name=number)
        do("post", "/watched/rules", name=number)
        place = do("post", "/watched", external_id=number)["id"]
        reading = {"metric": "wage_overdue_days", "value": 12, "at": now.isoformat()}
        do("post", "/watched/{number}/readings", {"number": place}, readings=[reading])
        do("post", "/assessments", title=number)
        do("post", "/accounts", login=f"desk-{number}")
        do("post", "/tokens", name=number, expires=(now + timedelta(days=1)).isoformat())
    do("put", "/people/retention")


# --- where its rows are ---------------------------------------------------------------------------

_INCIDENT = "SELECT id AS number FROM incident WHERE closed IS NULL"
# By the longest beginning of a path: for which values of its parameters something is there.
_ROWS = {
    "/reports/{number}": "SELECT id AS number FROM report",
    "/incidents/{number}": _INCIDENT,
    "/cases/{number}": _INCIDENT,
    "/cases/{number}/agreements/{agreement}":
        "SELECT DISTINCT incident_id AS number, number AS agreement FROM agreement",
    "/cases/{number}/parties/{party}":
        "SELECT incident_id AS number, id AS party FROM party WHERE withdrawn IS NULL",
    "/cases/{number}/unmerge": "SELECT id AS number FROM incident WHERE merged_into IS NOT NULL",
    "/case-kinds/{code}": "SELECT code FROM case_kind WHERE upper_inf(valid)",
    "/responsibilities/{number}":
        "SELECT id AS number FROM responsibility WHERE upper_inf(valid) AND kind IS NOT NULL",
    "/organisations/{code}":
        "SELECT code FROM organisation WHERE dissolved IS NULL AND code LIKE '%old'",
    "/whistles/{number}": "SELECT id AS number FROM whistle WHERE ended IS NULL",
    "/whistles/{number}/calls/{call}":
        "SELECT whistle_id AS number, id AS call FROM whistle_call ORDER BY state, id",
    "/whistles/{number}/team/{member}":
        "SELECT whistle_id AS number, id AS member FROM whistle_member WHERE departed IS NULL",
    "/whistles/{number}/plan/{step}":
        "SELECT whistle_id AS number, id AS step FROM whistle_plan_step WHERE done IS NULL",
    "/red-grids/{code}":
        "SELECT code FROM red_grid r JOIN area a ON a.id = r.area_id WHERE upper_inf(valid)",
    "/referrals/{number}": "SELECT id AS number FROM referral WHERE ended IS NULL",
    "/assignments/{number}": "SELECT id AS number FROM assignment",
    "/deployments/{number}": "SELECT id AS number FROM deployment WHERE cancelled IS NULL",
    "/dispatch-rules/{kind}": "SELECT DISTINCT kind FROM dispatch_rule",
    "/resources/{number}": "SELECT id AS number FROM resource WHERE withdrawn IS NULL",
    "/resources/{number}/leave/{leave}": "SELECT resource_id AS number, id AS leave FROM leave",
    "/resources/{resource}": "SELECT id AS resource FROM resource WHERE withdrawn IS NULL",
    "/devices/{name}": "SELECT name FROM device",
    "/areas/{layer}": "SELECT name AS layer FROM layer",
    "/areas/{layer}/{code}": "SELECT layer, code FROM area",
    "/areas/{layer}/{code}/versions/{version}":
        "SELECT layer, code, v.id AS version FROM area a JOIN area_version v ON v.area_id = a.id",
    "/grids/{code}": "SELECT code FROM area WHERE layer = 'grid'",
    "/subscriptions/{id}": "SELECT id FROM subscription WHERE withdrawn IS NULL",
    "/messages/{id}":
        "SELECT m.id FROM message m JOIN subscription s ON s.id = m.subscription_id"
        " WHERE dead IS NOT NULL AND s.withdrawn IS NULL",
    "/calendars/{name}": "SELECT name FROM calendar",
    "/calendars/{name}/days/{day}": "SELECT calendar AS name, day::text FROM calendar_day",
    "/service-times/{number}": "SELECT id AS number FROM service_time WHERE upper_inf(valid)",
    "/supervision/{number}": "SELECT id AS number FROM supervision ORDER BY closed NULLS FIRST, id",
    "/visits/return/{visit}": "SELECT id AS visit FROM return_visit WHERE ended IS NULL",
    "/attachments/{attachment}": "SELECT id AS attachment FROM attachment WHERE withdrawn IS NULL",
    "/records/{number}": "SELECT id AS number FROM record ORDER BY withdrawn NULLS FIRST, id",
    "/visits/plans/{number}": "SELECT id AS number FROM visit_plan WHERE ended IS NULL",
    "/visits/{number}": "SELECT id AS number FROM visit",
    "/watched/rules/{number}": "SELECT id AS number FROM watch_rule WHERE ended IS NULL",
    "/watched/{number}": "SELECT id AS number FROM watched_place WHERE withdrawn IS NULL",
    "/assessments/{number}": "SELECT id AS number FROM assessment",
    "/accounts/{number}": "SELECT id AS number FROM account WHERE withdrawn IS NULL",
    "/tokens/{number}":
        "SELECT id AS number FROM token WHERE withdrawn IS NULL AND expires IS NOT NULL",
    "/warnings/{number}": "SELECT id AS number FROM warning ORDER BY state = 'closed', id",
    "/maps/incident/{number}": _INCIDENT,
}  # fmt: skip
_FOLLOWED = text(
    "SELECT r.id FROM report r LEFT JOIN return_visit v ON v.report_id = r.id AND v.ended IS NULL"
    " ORDER BY v.id NULLS LAST LIMIT 1"
)
_turn = count()


def row(connection: Connection, template: str) -> dict[str, Any]:
    """Values for the parameters of a path with which something is there; each time another's."""
    if "{token}" in template:
        [number] = connection.execute(_FOLLOWED).one()
        return {"token": following.token(number)}
    template = template.removeprefix(API)
    beginnings = [each for each in _ROWS if template == each or template.startswith(f"{each}/")]
    if not beginnings:
        return {}
    asked = f"SELECT to_jsonb(r) FROM ({_ROWS[max(beginnings, key=len)]}) r LIMIT 50"
    found = connection.execute(text(asked)).scalars().all()
    return dict(found[next(_turn) % len(found)]) if found else {}
