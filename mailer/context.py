"""What every use-case is given: settings, database, clock, keys, bell. Made once a process by a factory or command."""

from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from functools import cached_property

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry
from sqlalchemy.orm import Session

from mailer.clock import Clock
from mailer.database import Database
from mailer.jobs import Bell, CeleryBell, Job, ring_after_commit
from mailer.settings import Settings
from mailer.tokens import Keys, load_keys


@dataclass
class Context:
    """The outside world as one value."""

    settings: Settings
    database: Database
    keys: Keys
    bell: Bell
    clock: Clock = field(default_factory=Clock)

    def write(self) -> AbstractContextManager[Session]:
        """Open one writing transaction."""
        return self.database.write()

    def read(self) -> AbstractContextManager[Session]:
        """Open one reading transaction."""
        return self.database.read()

    def ring(self, session: Session, job: Job, *args: int) -> None:
        """Ring for `job` after `session` has committed."""
        ring_after_commit(session, self.bell, job, *args)

    @cached_property
    def redis(self) -> "redis.Redis":
        """A client of Redis or Valkey; it connects at its first command."""
        return redis.Redis.from_url(
            self.settings.redis_url,
            socket_timeout=5,
            socket_connect_timeout=2,
            retry=Retry(NoBackoff(), 0),  # whoever asks has an answer of their own for a broker that is away
        )


def make_context(
    settings: Settings, *, bell: Bell | None = None, pool_size: int = 5, is_frugal: bool = False
) -> Context:
    """Return a context for this process."""
    return Context(
        settings=settings,
        database=Database(settings.database_url, pool_size=pool_size, is_frugal=is_frugal),
        keys=load_keys(settings.keys_path),
        bell=bell or CeleryBell(settings),
    )


_of_process: list[Context] = []


def set_process_context(ctx: Context) -> None:
    """Make `ctx` what background tasks of this process work with; called once by the factory."""
    _of_process[:] = [ctx]


def process_context() -> Context:
    """Return the context of this process."""
    return _of_process[0]
