"""Everything that an installation is told from outside: environment variables `MAILER_*` or `mailer.toml`.

All problems are reported at once. What marketers and operators change while it runs lives in the database instead
(workspace/). Under `mailer up` the supervisor has written `up.json` into the data folder and holds a lock on it; then
addresses that nobody set are the embedded default's.
"""

import fcntl
import hashlib
import ipaddress
import json
from functools import cached_property
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import Field, SecretStr, ValidationError, field_validator, model_validator
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict, TomlConfigSettingsSource

from mailer.errors import InputError, Problem

EMBEDDED_BOUNCE_DOMAIN = "bounce.localhost"
SHARED_TEMP = Path("/tmp")  # noqa: S108 - the same for every process of an installation, whatever TMPDIR says
_SOCKET_PATH_LIMIT = 90
DATABASE_SCHEMES = ("sqlite", "postgresql+psycopg")


class Settings(BaseSettings):
    """The settings of INTERFACES (docs/reference/settings.md)."""

    model_config = SettingsConfigDict(env_prefix="MAILER_", toml_file="mailer.toml", extra="ignore", frozen=True)

    data_dir: Path = Field(
        Path("var"), description="Folder of keys, ports, spool and, without a database URL, the database."
    )
    database_url: str = Field(
        "", description="sqlite:///… or postgresql+psycopg://…; empty: SQLite in the data folder."
    )
    redis_url: str = Field(
        "", description="redis://…, rediss://… or unix://…; empty: the private Valkey of `mailer up`."
    )
    public_url: str = Field("", description="Address of the pages that recipients open; https except on loopback.")
    tracking_url: str = Field("", description="Address of pixel and links; empty: the public URL.")
    secret_keys: Path | None = Field(None, description="File of the secret keys; empty: in the data folder.")
    smtp_url: SecretStr = Field(
        SecretStr(""),
        description="smtp[s]://user:pass@host:port?starttls=…; empty: the catcher under `mailer up`, else none.",
    )
    bounce_domain: str = Field("", description="Domain of envelope senders; mandatory outside `mailer up`.")
    allow_external_relay: bool = Field(default=False, description="Permit a relay outside this machine.")
    allow_private_webhooks: bool = Field(
        default=False, description="Permit webhooks to this machine and its network, by http, too: for development."
    )
    dns_servers: str = Field(
        "",
        description="Name servers for checks of sending domains, `host:port, …`; empty: the system's.",
    )
    metrics_token: SecretStr = Field(
        SecretStr(""), description="Bearer token for /metrics; empty: only this machine may read them."
    )
    tracking_durable: bool = Field(
        default=True,
        description="Answer an open or a click once it is on the disk; false: once it is handed to the system.",
    )
    spool_limit_mb: int = Field(
        2_048, ge=64, description="Most MB that a host's opens and clicks may take until they are in the database."
    )
    timezone: str = Field("UTC", description="Zone of a new workspace, an IANA name.")
    log_level: str = Field("info", description="debug, info, warning or error.")

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,  # noqa: ARG003 - the library's signature
        file_secret_settings: PydanticBaseSettingsSource,  # noqa: ARG003 - the library's signature
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Read arguments first, then the environment, then mailer.toml."""
        return init_settings, env_settings, TomlConfigSettingsSource(settings_cls)

    @field_validator("data_dir")
    @classmethod
    def _absolute(cls, value: Path) -> Path:
        return value.expanduser().resolve()

    @field_validator("database_url")
    @classmethod
    def _known_database(cls, value: str) -> str:
        if value and value.split(":", 1)[0] not in DATABASE_SCHEMES:
            raise ValueError("use sqlite:///PATH or postgresql+psycopg://USER:PASSWORD@HOST/NAME")
        return value

    @field_validator("redis_url")
    @classmethod
    def _known_redis(cls, value: str) -> str:
        if value and value.split(":", 1)[0] not in ("redis", "rediss", "unix"):
            raise ValueError("use redis://HOST:PORT/DB, rediss://… or unix:///PATH")
        return value

    @field_validator("public_url", "tracking_url")
    @classmethod
    def _safe_url(cls, value: str) -> str:
        value = value.rstrip("/")
        if not value:
            return value
        parts = urlsplit(value)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ValueError("use https://HOST")
        if parts.scheme == "http" and not is_loopback(parts.hostname):
            raise ValueError("http is for loopback only; use https://")
        return value

    @field_validator("timezone")
    @classmethod
    def _known_zone(cls, value: str) -> str:
        try:
            ZoneInfo(value)
        except (ZoneInfoNotFoundError, ValueError, OSError) as error:
            raise ValueError("not an IANA time zone, such as Europe/Oslo") from error
        return value

    @field_validator("smtp_url")
    @classmethod
    def _known_smtp(cls, value: SecretStr) -> SecretStr:
        text = value.get_secret_value()
        if text and (urlsplit(text).scheme not in ("smtp", "smtps") or not urlsplit(text).hostname):
            raise ValueError("use smtp://USER:PASSWORD@HOST:PORT?starttls=true or smtps://…")
        return value

    @model_validator(mode="after")
    def _embedded_defaults(self) -> "Settings":
        ports = self.embedded_ports
        filled: dict[str, Any] = {}
        if not self.database_url:
            filled["database_url"] = f"sqlite:///{self.data_dir / 'mailer.sqlite'}"
        if not self.redis_url:
            filled["redis_url"] = f"unix://{self.valkey_socket}"
        if ports:
            if not self.public_url:
                filled["public_url"] = f"http://127.0.0.1:{ports['web']}"
            if not self.smtp_url.get_secret_value():
                filled["smtp_url"] = SecretStr(f"smtp://127.0.0.1:{ports['catcher']}")
            if not self.bounce_domain:
                filled["bounce_domain"] = EMBEDDED_BOUNCE_DOMAIN
        if not self.tracking_url:
            filled["tracking_url"] = filled.get("public_url", self.public_url)
        for name, value in filled.items():
            object.__setattr__(self, name, value)  # the model is frozen for everybody else
        return self

    @property
    def keys_path(self) -> Path:
        """The file of the secret keys."""
        return self.secret_keys or self.data_dir / "secret_keys.json"

    @property
    def spool_dir(self) -> Path:
        """The folder of this host's tracking spool."""
        return self.data_dir / "spool"

    @property
    def up_file(self) -> Path:
        """What a running `mailer up` says of itself; it holds a lock on this file."""
        return self.data_dir / "up.json"

    @property
    def valkey_socket(self) -> Path:
        """The private Valkey's unix socket, in a 0700 folder; elsewhere where the data folder's path is too long."""
        path = self.data_dir / "run" / "valkey.sock"
        if len(str(path)) <= _SOCKET_PATH_LIMIT:
            return path
        digest = hashlib.blake2b(str(self.data_dir).encode(), digest_size=8).hexdigest()
        return SHARED_TEMP / f"mailer-{digest}" / "valkey.sock"

    @cached_property
    def embedded_ports(self) -> dict[str, int]:
        """The ports of the `mailer up` that runs on this data folder; empty where none runs."""
        try:
            with self.up_file.open("rb") as file:
                if not _is_locked(file.fileno()):
                    return {}
                return {name: int(port) for name, port in json.load(file)["ports"].items()}
        except (OSError, ValueError, KeyError):
            return {}


def _is_locked(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    fcntl.flock(descriptor, fcntl.LOCK_UN)
    return False


def is_loopback(host: str) -> bool:
    """Whether a host name or address is this machine's own."""
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def load_settings(**overrides: Any) -> Settings:
    """Return the settings; InputError lists every problem at once, by variable name."""
    try:
        return Settings(**overrides)
    except ValidationError as error:
        problems = [
            Problem(
                "MAILER_" + "_".join(str(part) for part in found["loc"]).upper(),
                found["msg"].removeprefix("Value error, "),
            )
            for found in error.errors()
        ]
        raise InputError(problems) from error
