"""Every kind of problem: its status, its title, and what to do; `/problems/NAME` shows it."""

from dataclasses import dataclass

from data.reports import TRIAGE
from gis.datum import REASONS


@dataclass(frozen=True)
class Kind:
    """A kind of problem: its status, its title, and the page that its type leads to."""

    status: int
    title: str
    explanation: str


KINDS: dict[str, Kind] = {
    "not-a-number": Kind(422, "A coordinate is no number", REASONS["not_a_number"]),
    "null-island": Kind(422, "The coordinates are 0, 0", REASONS["null_island"]),
    "swapped": Kind(422, "Longitude and latitude are exchanged", REASONS["swapped"]),
    "metres": Kind(422, "Metres where degrees are due", REASONS["metres"]),
    "degrees": Kind(422, "Degrees where metres are due", REASONS["degrees"]),
    "out-of-range": Kind(422, "No place on earth", REASONS["out_of_range"]),
    "wrong-datum": Kind(422, "The datum does not fit the place", REASONS["wrong_datum"]),
    "datum-unknown": Kind(
        422,
        "The datum is unknown",
        TRIAGE["unknown_datum"] + " The member would_be says where the coordinates would lie in "
        "each of the usual datums: it is no answer, only shows what is at stake.",
    ),
    "datum-unsupported": Kind(
        422,
        "The datum's name is not known",
        "Give wgs84, cgcs2000, gcj02, bd09 or an EPSG code such as EPSG:4547.",
    ),
    "position-missing": Kind(
        422, "There is no position", "Give lon and lat with their datum, or an address."
    ),
    "layer-unknown": Kind(
        404, "There is no such layer", "GET /api/v1/areas lists the layers of the map."
    ),
    "area-unknown": Kind(
        404,
        "There is no such area",
        "The code belongs to no area of the layer at the moment asked for; "
        "GET /api/v1/areas/{layer} lists those that there are.",
    ),
    "report-unknown": Kind(
        404,
        "There is no such report",
        "Reports are found by the number that POST /api/v1/reports returned.",
    ),
    "record-unknown": Kind(
        404, "There is no such record", "GET /api/v1/records lists those that there are."
    ),
    "record-withdrawn": Kind(
        409,
        "The record was withdrawn",
        "What it was about is no longer there; import it again to bring it back.",
    ),
    "pin-outside": Kind(
        422,
        "The pin lies in no area",
        "Move the pin, or name the area by its code; GET /api/v1/areas/{layer} lists them.",
    ),
    "visit-unknown": Kind(
        404, "There is no such visit", "GET /api/v1/visits lists those that there are."
    ),
    "plan-unknown": Kind(
        404, "There is no such visit plan", "GET /api/v1/visits/plans lists those in force."
    ),
    "plan-refused": Kind(
        422,
        "The visit plan cannot be used",
        "It names a kind of resource that is not known; GET /api/v1/catalogue lists them.",
    ),
    "visits-unbounded": Kind(
        422,
        "Nothing says whose visits are meant",
        "Give a resource, an area, or near: the whole city's are too many for a phone.",
    ),
    "watched-unknown": Kind(
        404, "There is no such watched place", "GET /api/v1/watched lists those in use."
    ),
    "watched-invalid": Kind(
        422,
        "The watched place names something that is not known",
        "GET /api/v1/catalogue lists the organisations.",
    ),
    "watch-unknown": Kind(
        404, "There is no such watch rule", "GET /api/v1/watched/rules lists those in force."
    ),
    "watch-refused": Kind(
        422,
        "The watch rule can mean nothing",
        "A comparison needs a value, missing needs for_s, and clear lies on the good side of the "
        "limit.",
    ),
    "reading-to-come": Kind(
        422,
        "A reading lies in the future",
        "Set the sender's clock and send the batch again: nothing of it was stored.",
    ),
    "drawing-refused": Kind(
        422,
        "The drawn area cannot be used",
        "It is no polygon, has too many vertices, coordinates that cannot be right, or encloses "
        "nothing of the city; the detail says which.",
    ),
    "assessment-unknown": Kind(
        404, "There is no such assessment", "GET /api/v1/assessments lists those that there are."
    ),
    "incident-unknown": Kind(
        404,
        "There is no such incident",
        "An incident has the number of the report that opened it; GET /api/v1/incidents lists "
        "those that are open.",
    ),
    "area-too-large": Kind(
        422,
        "The area is too large",
        "Gap cover is worked out for a town or a village; ask for one of those within it.",
    ),
    "deployment-unknown": Kind(
        404,
        "There is no such deployment",
        "GET /api/v1/deployments lists them, the newest first.",
    ),
    "deployment-refused": Kind(
        422,
        "The deployment cannot be planned",
        "Its sites, shifts or people do not go together, or are too many for one plan; the detail "
        "says which and what to change.",
    ),
    "deployment-cancelled": Kind(
        409,
        "The deployment was cancelled",
        "Its people are free again; plan a new one with POST /api/v1/deployments.",
    ),
    "attendance-unknown": Kind(
        404,
        "They are not planned there",
        "GET /api/v1/deployments/{number}/people lists who goes where.",
    ),
    "attendance-refused": Kind(
        409,
        "The attendance cannot become this",
        "Somebody who is planned checks in or is absent; who has checked in checks out. The "
        "detail says how it stands.",
    ),
    "rule-unknown": Kind(
        404,
        "There is no such rule",
        "The kind has no rule of its own; GET /api/v1/dispatch-rules lists those in force.",
    ),
    "rule-refused": Kind(
        422,
        "The rule or question cannot be used",
        "It names a kind of resource, a skill or a weight that is not known, or asks nobody; the "
        "detail lists those that there are.",
    ),
    "device-unknown": Kind(
        404,
        "There is no such device",
        "GET /api/v1/resources/{resource}/devices lists those of a resource.",
    ),
    "resource-unknown": Kind(
        404,
        "There is no such resource",
        "Resources are found by the number that POST /api/v1/resources returned; "
        "GET /api/v1/resources lists them.",
    ),
    "resource-invalid": Kind(
        422,
        "The resource names something that is not known",
        "GET /api/v1/catalogue lists kinds, skills, shifts and organisations; GET /api/v1/areas "
        "lists the layers with their areas.",
    ),
    "home-missing": Kind(
        422,
        "The resource has no home",
        "Give the code of an area, or lon and lat with their datum, or an address that the "
        "gazetteer has without doubt: without a home nobody can tell who is near.",
    ),
    "resource-busy": Kind(
        409,
        "The resource has tasks under way",
        "Recall its tasks or let them be ended, then withdraw it.",
    ),
    "resource-withdrawn": Kind(
        409,
        "The resource was withdrawn",
        "It is not sent any more: choose another, or give it again with its source and "
        "external_id to bring it back.",
    ),
    "leave-unknown": Kind(
        404,
        "There is no such leave",
        "GET /api/v1/resources/{number} lists a resource's leave, now and to come.",
    ),
    "code-not-in-force": Kind(
        422,
        "No area in force has this code",
        "A report can be confirmed for an area that is in force now; look its code up with "
        "GET /api/v1/areas/{layer}.",
    ),
    "incident-closed": Kind(
        409,
        "The incident is closed",
        "Nobody is sent to it or called back from it any more. The members closed and outcome say "
        "when and how it ended; new trouble is reported with POST /api/v1/reports.",
    ),
    "still-under-way": Kind(
        409,
        "Somebody is under way",
        "The member tasks lists the assignments that have not ended: wait for them, or give a "
        "recall_reason to call them back.",
    ),
    "resource-is-a-place": Kind(
        409, "A facility is not sent", "People are sent to it; choose a person, team or vehicle."
    ),
    "resource-not-available": Kind(
        409,
        "The resource is not available",
        "The member resources says of each why: off, busy, on_leave, deployed or off_duty. "
        "Choose another, or give a reason as override.",
    ),
    "resource-taken": Kind(
        409,
        "Somebody was faster",
        "The member resources lists who is full, with the tasks that they have: who sent them, "
        "when, and to which incident. Choose another, or give a reason as override.",
    ),
    "already-sent": Kind(
        409,
        "The resource is under way to this incident already",
        "The member resources says who sent it and when. There is nothing left to do.",
    ),
    "assignment-unknown": Kind(
        404,
        "There is no such assignment",
        "GET /api/v1/incidents/{number}/dispatches lists those of an incident.",
    ),
    "step-not-allowed": Kind(
        409,
        "The assignment cannot become this",
        "The member state says what it is, actor and at who made it that and when, and allowed "
        "what it may become.",
    ),
    "not-signed-in": Kind(
        401,
        "Nobody is signed in",
        "Sign in with POST /api/v1/sessions, or show a token in the header Authorization: Bearer. "
        "A session ends by itself; sign in again and send the same request.",
    ),
    "sign-in-refused": Kind(
        401,
        "Signing in did not work",
        "The member reason says why: wrong, second_factor (give the six digits, too), enrol (the "
        "role asks for a second factor; who gives accounts sets it up), or after the provider "
        "no_flow (begin again) or ended.",
    ),
    "account-locked": Kind(
        429,
        "Too many wrong tries",
        "The login is locked for a while, whether there is such an account or not; the header "
        "Retry-After says for how many seconds.",
    ),
    "too-many-tries": Kind(
        429,
        "Too many wrong tries from one address",
        "Wait as many seconds as the header Retry-After says; right ones are not counted.",
    ),
    "no-provider": Kind(
        404,
        "There is no provider to sign in with",
        "WANGGE_OIDC_ISSUER names none; sign in with login and password.",
    ),
    "not-permitted": Kind(
        403,
        "It is not permitted",
        "The member permission says what is missing; who gives accounts can grant a role that has "
        "it.",
    ),
    "outside-areas": Kind(
        403,
        "It lies outside the areas",
        "It would belong to an area for which this account or token is not permitted to do it; let "
        "somebody do it who is, such as the level above.",
    ),
    "cross-site": Kind(
        403,
        "Another site's page asked",
        "Something is only changed from this service's own pages, or with a token.",
    ),
    "account-refused": Kind(
        422, "The account cannot be like that", "The detail says what to mend."
    ),
    "account-unknown": Kind(404, "There is no such account", "GET /api/v1/accounts lists them."),
    "deed-unknown": Kind(
        404,
        "Nothing waits under this number",
        "It was done, refused or taken back, or nobody agreed in time, or who asked may not any "
        "more; GET /api/v1/accounts/pending lists what waits.",
    ),
    "token-unknown": Kind(
        404, "There is no such token", "GET /api/v1/tokens lists those that hold."
    ),
    "case-unknown": Kind(
        404, "There is no such case", "GET /api/v1/cases lists those that you may see."
    ),
    "case-not-allowed": Kind(
        409,
        "It cannot be done from where the case stands",
        "The member stage says where it stands, actor and at who brought it there and when, and "
        "allowed what can be done.",
    ),
    "case-moved-on": Kind(
        409,
        "Somebody was faster",
        "The member step is the case's last step; read its timeline and decide again.",
    ),
    "case-not-accountable": Kind(
        403,
        "Another organisation answers for the case",
        "The member organisation says which. Ask them, or the centre of the place.",
    ),
    "case-circular": Kind(
        409,
        "The case came from there",
        "They escalated it because they could not solve it. Name another organisation, or work on "
        "it where it is.",
    ),
    "case-highest": Kind(
        409,
        "Nobody is above",
        "The case is with the city. Transfer it, or call the organisations together.",
    ),
    "case-not-lower": Kind(
        422, "That level is not below", "A case is delegated downwards; to send it up, escalate it."
    ),
    "same-organisation": Kind(
        409, "They answer for the case already", "Name another organisation."
    ),
    "same-case": Kind(422, "The two are one case", "Name the other one."),
    "not-merged": Kind(
        409, "The case is part of no other", "The member merged_into of a case says of which it is."
    ),
    "indicator-unknown": Kind(
        404, "There is no such indicator", "GET /api/v1/indicators lists them with their versions."
    ),
    "period-wrong": Kind(
        422, "The period cannot be asked for", "Give `from` as its first day and `to` as its last."
    ),
    "breakdown-wrong": Kind(
        422,
        "The figure is not broken down like that",
        "By village or grid an area is named; what has no organisation or kind is not asked by it.",
    ),
    "organisation-unknown": Kind(
        422, "There is no such organisation", "GET /api/v1/catalogue lists the organisations."
    ),
    "kind-unknown": Kind(
        422, "The catalogue has no such kind", "GET /api/v1/case-kinds lists them."
    ),
    "catalogue-refused": Kind(
        422, "The catalogue cannot be changed like that", "The detail says what to mend."
    ),
    "responsibility-unknown": Kind(
        404, "No such rule is in force", "GET /api/v1/responsibilities lists them."
    ),
    "party-unknown": Kind(
        404, "The case has no such party", "GET /api/v1/cases/{number}/parties lists those it has."
    ),
    "person-invalid": Kind(
        422,
        "The person cannot be like that",
        "The detail says what is wrong with a telephone number or the number of a document.",
    ),
    "follow-unknown": Kind(
        404,
        "The link leads to no report",
        "Use the link exactly as it was given when the report was taken in.",
    ),
    "not-asked": Kind(
        409,
        "The reporter is not being asked now",
        "Reporters are asked when a case is solved, and for some days after it was closed. The "
        "member stage says where it stands.",
    ),
    "nobody-to-ask": Kind(
        409,
        "Nobody is known who reported it",
        "Add the reporter with POST /api/v1/cases/{number}/parties if somebody knows them.",
    ),
    "question-open": Kind(
        409,
        "Its reporter is waited for already",
        "Note the answer with POST /api/v1/cases/{number}/questions/{question}/answer, or wait.",
    ),
    "question-unknown": Kind(
        404, "There is no such question", "GET /api/v1/cases/{number}/questions lists them."
    ),
    "question-ended": Kind(409, "The question has ended", "Ask again if more has to be known."),
    "no-question": Kind(
        409, "Nothing is asked now", "It goes on without an answer, or somebody else gave it."
    ),
    "return-visit-unknown": Kind(
        404, "There is no such return visit", "GET /api/v1/visits/return/due lists those to call."
    ),
    "visit-ended": Kind(
        409,
        "There is nobody to call",
        "The return visit has ended, or has no number to call. Take another.",
    ),
    "visit-claimed": Kind(
        409,
        "Somebody else is calling them",
        "The members actor and until say who and for how long at most. Take another.",
    ),
    "answer-missing": Kind(
        422,
        "Whether it is solved goes with who was reached",
        "Give solved with the outcome reached, and with no other.",
    ),
    "attachment-unknown": Kind(
        404,
        "There is no such attachment",
        "GET /api/v1/cases/{number}/attachments lists those that a case has.",
    ),
    "attachment-refused": Kind(
        422,
        "The file is not taken",
        "By their content JPEG, PNG and WebP pictures and PDF documents are taken, whole and of at "
        "most 50 million pixels.",
    ),
    "retention-unknown": Kind(
        404, "There is no such period", "GET /api/v1/people/retention lists them."
    ),
    "reason-missing": Kind(
        422,
        "A reason is missing",
        "To decline, to call back and to override what speaks against somebody needs a reason.",
    ),
    "calendar-unknown": Kind(404, "There is no such calendar", "GET /api/v1/calendars lists them."),
    "calendar-refused": Kind(
        422,
        "The calendar cannot be",
        "Hours rise and do not overlap, the time zone is an IANA name, and some time of the week "
        "is open: in a calendar that never opens nothing would ever be due.",
    ),
    "calendar-day-unknown": Kind(
        404,
        "The day has no hours of its own",
        "It is as its weekday and the public holidays make it; "
        "GET /api/v1/calendars/{name}/days shows which days were given hours.",
    ),
    "service-time-unknown": Kind(
        404, "There is no such service time", "GET /api/v1/service-times lists those in force."
    ),
    "service-time-refused": Kind(
        422,
        "The service time cannot be put in force",
        "Its time cannot be, or it would change what cases were judged by already.",
    ),
    "supervision-unknown": Kind(
        404, "There is no such supervision order", "GET /api/v1/supervision lists them."
    ),
    "supervision-closed": Kind(
        409, "The supervision order is closed", "Issue a new one with POST /api/v1/supervision."
    ),
    "supervision-of-itself": Kind(
        422,
        "An organisation cannot supervise itself",
        "Let the organisation above it issue the order.",
    ),
    "not-supervised": Kind(
        403,
        "The order was issued to another organisation",
        "Only the organisation that it was issued to answers it.",
    ),
    "not-issuer": Kind(
        403,
        "Another organisation issued the order",
        "Only the organisation that issued it closes it; the supervised answers it.",
    ),
    "acting-unknown": Kind(
        422,
        "It is not said for which organisation",
        "The account belongs to none: name the organisation that you act for as acting.",
    ),
    "acting-for-another": Kind(
        403,
        "The account belongs to another organisation",
        "Leave acting out, or name the organisation of the account.",
    ),
    "whistle-unknown": Kind(
        404, "There is no such whistle", "GET /api/v1/whistles lists those that there are."
    ),
    "whistle-open": Kind(
        409,
        "The case has an open whistle",
        "The member number is its own. Call others to that one, and end it before the case is.",
    ),
    "whistle-ended": Kind(
        409,
        "The whistle has ended",
        "The members actor and at say who ended it and when; the case's centre may blow another.",
    ),
    "whistle-not-ended": Kind(
        409, "The whistle is open", "Those who were called are rated once it has ended."
    ),
    "may-not-call": Kind(
        403,
        "They may not blow the whistle",
        "A centre of the case's place may, or the red grid that it lies in, while it is open.",
    ),
    "not-caller-of-whistle": Kind(
        403, "Another organisation blew the whistle", "The detail says which; ask them."
    ),
    "call-unknown": Kind(
        404, "There is no such call", "GET /api/v1/whistles/{number} lists those of a whistle."
    ),
    "call-not-allowed": Kind(
        409,
        "It cannot be done with the call as it stands",
        "The members state, actor and at say how it stands and who brought it there, allowed what "
        "can be done.",
    ),
    "not-called": Kind(
        403, "Another organisation was called", "The member organisation says which; they answer."
    ),
    "already-called": Kind(
        409, "They take part already", "GET /api/v1/whistles/{number} says how they stand."
    ),
    "not-taking-part": Kind(
        409,
        "They have not come",
        "A team, a visit and a plan are of the caller and of those who came; call them first.",
    ),
    "member-unknown": Kind(
        404, "The team has no such member", "GET /api/v1/whistles/{number} lists its team."
    ),
    "plan-step-unknown": Kind(
        404, "The plan has no such step", "GET /api/v1/whistles/{number} lists its plan."
    ),
    "plan-step-done": Kind(
        409, "The step is done", "The members actor and at say who did it and when."
    ),
    "plan-open": Kind(
        409,
        "Steps of the plan are open",
        "The member steps lists them. Finish them, or give a reason to leave them.",
    ),
    "already-rated": Kind(
        409, "They are not rated again", "A rating stands; who was let off is not rated."
    ),
    "warning-unknown": Kind(
        404, "There is no such warning", "GET /api/v1/warnings lists those that there are."
    ),
    "warning-effect-unknown": Kind(
        409,
        "What the measures did cannot be told",
        "The detail says what is missing: a measure, days since, areas or reports to compare with.",
    ),
    "warning-not-allowed": Kind(
        409,
        "It cannot be done with the warning as it stands",
        "The members state, actor and at say how it stands and who brought it there, allowed what "
        "can be done.",
    ),
    "red-grid-unknown": Kind(
        404, "The grid has no authority", "GET /api/v1/red-grids lists those that have."
    ),
    "referral-unknown": Kind(
        404, "There is no such referral", "GET /api/v1/referrals lists those that there are."
    ),
    "referral-open": Kind(
        409,
        "The case has an open referral",
        "The member number is its own. Wait for its outcome, or withdraw it.",
    ),
    "referral-refused": Kind(
        422, "The case cannot be offered like that", "The detail says what does not fit."
    ),
    "referral-not-allowed": Kind(
        409,
        "Somebody has decided already",
        "The members state, actor and at say how it stands and who brought it there, allowed what "
        "can be done.",
    ),
    "not-giver": Kind(
        403, "Another organisation offered it", "The member organisation says which."
    ),
    "not-receiver": Kind(
        403, "It was offered to another organisation", "The member organisation says which."
    ),
    "team-unknown": Kind(
        422,
        "There is no such joint team",
        "GET /api/v1/resources?kind=joint_team lists those that there are.",
    ),
    "agreement-unknown": Kind(
        404,
        "The case has no such agreement",
        "GET /api/v1/cases/{number}/agreements lists those that it has.",
    ),
    "agreement-decided": Kind(
        409,
        "A court is asked, or has decided, already",
        "Word the agreement anew if the parties agree on something else.",
    ),
    "agreement-not-applied": Kind(
        409,
        "No court is asked",
        "Ask one first with POST /api/v1/cases/{number}/agreements/{agreement}/confirmation.",
    ),
    "parties-missing": Kind(
        422, "An agreement has two parties", "Name two at least, by their roles."
    ),
    "key-reused": Kind(
        422,
        "The Idempotency-Key is another request's",
        "It came before with another body or for another address; every new request needs a new "
        "key, and only the same one is sent again with the same.",
    ),
    "events-gone": Kind(
        410,
        "The events since then are no longer there",
        "Look at everything anew, then go on from the number in the member newest.",
    ),
    "subscription-unknown": Kind(
        404,
        "There is no such subscription",
        "GET /api/v1/subscriptions lists those in force.",
    ),
    "channel-unavailable": Kind(
        422,
        "The channel is not set up",
        "E-mail needs WANGGE_SMTP_URL, Web Push WANGGE_VAPID_KEY and WANGGE_VAPID_CONTACT in the "
        "settings of the service.",
    ),
    "message-unknown": Kind(
        404, "There is no such message", "GET /api/v1/messages lists those that there are."
    ),
    "message-not-dead": Kind(
        409,
        "The message is not dead",
        "Only a message that was given up, of a subscription in force, can be tried again.",
    ),
    "validation": Kind(
        422,
        "The request cannot be understood",
        "The member errors lists every field at fault, what is wrong with it and what it should "
        "be; /openapi.json describes them all.",
    ),
    "not-json": Kind(
        400, "The body is no JSON", "Send the body as JSON in UTF-8, not nested too deep."
    ),
    "wrong-content-type": Kind(
        415, "The body is not declared as JSON", "Send it with Content-Type: application/json."
    ),
    "too-large": Kind(
        413, "The body is too large", "A body may have 10 MB, a file that is attached 20 MB."
    ),
    "not-found": Kind(
        404, "There is nothing here", "GET /openapi.json describes every address of this service."
    ),
    "wrong-method": Kind(
        405, "The method does not fit", "The header Allow names the methods that this address has."
    ),
    "not-ready": Kind(
        503,
        "The service is not ready",
        "The database has not the tables of this version; run `python main.py migrate`.",
    ),
    "database-unavailable": Kind(
        503,
        "The database does not answer",
        "Nothing was stored. Try again after the seconds that the header Retry-After names; a "
        "report with the same external_id is never stored twice.",
    ),
    "collided": Kind(
        503,
        "Others changed the same at that moment",
        "Each waited for the other, and nothing of this was done; send it again.",
    ),
    "internal": Kind(
        500,
        "Something went wrong here",
        "It is not the request's fault. Tell the operator the number in the member id, under "
        "which the log has what happened.",
    ),
    "http": Kind(400, "The request was refused", "The detail says why."),
}
