"""What positions, phones and tracks look like when they come in and go out."""

from datetime import datetime
from typing import Annotated, Literal

from pydantic import AfterValidator, Field, model_validator

from api.schemas import BIGGEST, Incoming, Moment, Outgoing, Received, Word
from data.fixes import Fix, Owner

MOST_FIXES = 10_000


class External(Incoming):
    """A resource by its number elsewhere."""

    source: Word
    external_id: Word


class FixSent(Incoming):
    """A position of a resource: named by its number, its number elsewhere, or its device."""

    resource_id: int | None = Field(None, ge=1, le=BIGGEST)
    external: External | None = Field(None, description="the resource's source and number there")
    device: Word | None = Field(None, description="a name of PUT /api/v1/devices/{name}")
    lon: float = Field(description="longitude, or easting, in the datum")
    lat: float = Field(description="latitude, or northing, in the datum")
    datum: Word | None = Field(None, description="wgs84, cgcs2000, gcj02, bd09 or EPSG:…")
    accuracy_m: float | None = Field(None, description="radius of the uncertainty, metres")
    at: Moment = Field(description="when the resource was there")
    source: Word = Field("api", description="who sends it; its default datum and accuracy count")

    @model_validator(mode="after")
    def _one_owner(self) -> "FixSent":
        if sum(name is not None for name in (self.resource_id, self.external, self.device)) != 1:
            raise ValueError("name the resource by one of resource_id, external and device")
        return self

    def fix(self) -> Fix:
        """As the domain takes it."""
        external = self.external and (self.external.source, self.external.external_id)
        of: Owner | None = self.resource_id or external or self.device
        assert of is not None
        return Fix(of, self.lon, self.lat, self.at, self.datum, self.accuracy_m, self.source)


Batch = Annotated[list[FixSent], Field(min_length=1, max_length=MOST_FIXES)]


class VerdictShown(Outgoing):
    """What became of a fix."""

    verdict: Literal["taken", "late", "known", "refused"] = Field(
        description="taken: newer than what was known; late: older, kept in the track; "
        "known: came before; refused: see reason"
    )
    reason: str | None = Field(description="a key of what_to_do")
    resource_id: int | None


class Verdicts(Outgoing):
    """What became of each fix, in the order sent."""

    counts: dict[str, int]
    what_to_do: dict[str, str] = Field(description="by the reasons that occur")
    verdicts: list[VerdictShown]


class DeviceOwner(Incoming):
    """Whose a device is."""

    resource_id: int = Field(ge=1, le=BIGGEST)


class OwnTracksSetup(Outgoing):
    """How OwnTracks is set up."""

    url: str = Field(description="in mode HTTP")
    username: str
    link: str = Field(description="opened on the phone, it sets the app up")


class TraccarSetup(Outgoing):
    """How Traccar Client is set up."""

    url: str = Field(description="server address")
    id: str = Field(description="device identifier")
    link: str = Field(description="as a QR code, read by the app, it sets the app up")


class Device(Outgoing):
    """A phone: its name is its key."""

    name: str
    resource_id: int
    created: datetime
    owntracks: OwnTracksSetup
    traccar: TraccarSetup


class Devices(Outgoing):
    """The phones of a resource."""

    devices: list[Device]


def _typeable(name: str) -> str:
    if name != name.strip("/ ") or not name.isprintable():
        raise ValueError(
            "a device's name is made of visible characters, without a slash or space at its ends"
        )
    return name


DeviceName = Annotated[Word, AfterValidator(_typeable)]


class TrackFix(Outgoing):
    """A fix of a track."""

    at: datetime
    received: datetime
    source: str
    position: Received = Field(description="as received")
    lon: float = Field(description="made WGS 84")
    lat: float
    accuracy_m: float | None
    refused: str | None = Field(description="jump: it is not believed")


class Track(Outgoing):
    """Where a resource was, by time."""

    resource_id: int
    fixes: list[TrackFix]
    next: str | None = Field(description="the next page")
