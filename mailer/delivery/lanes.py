"""Connections at work: each lane carries one mail after the other, all but the dot, the gate, the dot.

The next mail is built while the gate judges this one, and its commands leave with this one's dot: a mail costs one
round trip. Nothing but the dot follows a gate that let it pass.
"""

import asyncio
from contextlib import suppress

from mailer.delivery.batch import Batch
from mailer.delivery.build import Outgoing
from mailer.delivery.desk import Desk, Parcel
from mailer.delivery.smtp import Connection, StaleConnectionError
from mailer.delivery.smtp_pool import Pool
from mailer.errors import TransportError, UnknownOutcomeError

DOT_LIMIT_SECONDS = 1.0


class Lanes:
    """As many lanes as `pool` has connections, fed through one queue."""

    def __init__(self, desk: Desk, pool: Pool) -> None:
        self._queue: asyncio.Queue[tuple[Batch, Outgoing]] = asyncio.Queue(pool.size)
        self._pool = pool
        loop = asyncio.get_running_loop()
        self._tasks = [loop.create_task(_Lane(desk, pool, self._queue).run()) for _ in range(pool.size)]

    async def put(self, batch: Batch, outgoing: Outgoing) -> None:
        """Hand a message over; waits while the lanes have enough to do."""
        batch.take_one()
        try:
            self._queue.put_nowait((batch, outgoing))
        except asyncio.QueueFull:
            await self._queue.put((batch, outgoing))

    async def close(self) -> None:
        """End the lanes; nothing is in hand any more."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)


class _Lane:
    """One connection at a time, and the mail on it."""

    def __init__(self, desk: Desk, pool: Pool, queue: "asyncio.Queue[tuple[Batch, Outgoing]]") -> None:
        self._desk = desk
        self._pool = pool
        self._queue = queue
        self._connection: Connection | None = None

    async def run(self) -> None:
        parcel: Parcel | None = None
        try:
            while True:
                if parcel is None:
                    parcel = self._take() or await self._wait()
                parcel = await self._carry_guarded(parcel)
        finally:
            self._drop()

    # ------------------------------------------------------------------ what comes next

    def _take(self) -> Parcel | None:
        """Return the next mail that is waiting, built; None where none is."""
        with suppress(asyncio.QueueEmpty):
            while True:
                parcel = self._pack(*self._queue.get_nowait())
                if parcel is not None:
                    return parcel
        return None

    async def _wait(self) -> Parcel:
        """Wait for a mail; meanwhile others may use the connection."""
        self._drop()
        while True:
            parcel = self._pack(*await self._queue.get())
            if parcel is not None:
                return parcel

    def _pack(self, batch: Batch, outgoing: Outgoing) -> Parcel | None:
        parcel = None if batch.is_stopped else self._desk.pack(batch, outgoing)
        if parcel is None:
            batch.end_one()
        return parcel

    def _drop(self) -> None:
        """Give the connection back."""
        if self._connection is not None:
            if not self._connection.is_usable:
                self._connection.abandon()
            self._pool.release(self._connection)
            self._connection = None

    # ------------------------------------------------------------------ one mail

    async def _carry_guarded(self, parcel: Parcel) -> Parcel | None:
        """Carry one mail and return the one that comes next, if there is one; whatever goes wrong is noted."""
        following: Parcel | None = None
        try:
            following = await self._carry(parcel)
        except TransportError as error:  # no connection to be had
            self._desk.stop(parcel.batch, error)
        except Exception as error:  # noqa: BLE001 - noted with its trace; the message stays queued
            self._desk.note_crash(parcel.batch, parcel.outgoing, error)
            self._drop()
        if following is not parcel:
            parcel.batch.end_one()
        return following

    async def _carry(self, parcel: Parcel) -> Parcel | None:
        """Offer, gate, dot. Returns what is next: `parcel` itself where its connection had gone stale."""
        desk = self._desk
        connection = await self._connect(parcel)
        if connection is None:
            return None
        try:
            is_offered = connection.has_following
            refusal = await (connection.held() if is_offered else connection.offer(parcel.envelope))
        except StaleConnectionError:
            return parcel
        except TransportError as error:
            desk.note_lost(parcel, error)
            return None
        if refusal is not None:
            desk.judge(parcel, refusal)
            return None
        following = self._take() if self._pool.may_follow(connection) else None
        permit = await desk.ask(parcel)
        if permit is None or not permit.is_permitted:
            connection.abandon()
        elif asyncio.get_running_loop().time() - permit.at > DOT_LIMIT_SECONDS:
            connection.abandon()
            desk.note_not_sent(parcel)
        else:
            await self._finish(connection, parcel, following)
        return following

    async def _connect(self, parcel: Parcel) -> Connection | None:
        """Return a connection that can carry the parcel; None where its batch was stopped before it was offered."""
        connection = self._connection
        if connection is not None and (connection.has_following or connection.is_usable):
            return connection
        self._drop()
        if parcel.batch.is_stopped:
            return None
        self._connection = await self._pool.acquire()
        return self._connection

    async def _finish(self, connection: Connection, parcel: Parcel, following: Parcel | None) -> None:
        """Write the dot, with the commands of the following mail behind it, and note what came of it."""
        goes_along = following is not None and connection.can_carry(following.envelope)
        try:
            reply = await connection.finish(following.envelope if following and goes_along else None)
        except UnknownOutcomeError as error:
            self._desk.note_no_answer(parcel, error)
        except TransportError as error:
            self._desk.note_lost(parcel, error)
        else:
            self._desk.judge(parcel, reply)
