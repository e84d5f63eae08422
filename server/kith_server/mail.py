"""Puts the mail side of a server together: keys, mailboxes, gateway and relay. `app` calls it, nothing else."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator
from typing import Final

from aiohttp import web

from kith_protocol.suite import SEED_BYTES
from kith_server.directory import Directory
from kith_server.gateway_meetings import Meetings
from kith_server.gateway_operations import Gateway
from kith_server.keys import CLOCK, CONFIG, DATA_DIR, DATABASE, LIMITS, RENDEZVOUS
from kith_server.mail_keys import (
    DIRECTORY,
    GATEWAY,
    HANDLES,
    MAILBOXES,
    PAGES,
    RELAY,
    RELAYED,
    SERVER_KEYS,
    STATEMENTS,
)
from kith_server.maintenance import repeat
from kith_server.outbound import Outbound
from kith_server.relay.statements import Statements
from kith_server.relay.worker import Relay
from kith_server.routes.gateway import add_gateway_routes
from kith_server.routes.greetings import add_greeting_routes
from kith_server.routes.handles import add_handle_routes
from kith_server.routes.mailboxes import add_mailbox_routes
from kith_server.routes.pages import add_page_routes
from kith_server.routes.relay import add_relay_routes
from kith_server.routes.webfinger import add_webfinger_route
from kith_server.routes.wellknown import add_wellknown_routes
from kith_server.server_keys import ServerKeys, load_server_key
from kith_server.storage.handles import SqliteHandles
from kith_server.storage.keys import SqliteGatewayKeys
from kith_server.storage.mail_interface import GatewayKeyStore, MailboxStore, RelayStore
from kith_server.storage.mailboxes import SqliteMailboxes
from kith_server.storage.relay import SqliteRelay

PAGES_AT_ONCE: Final = 8
"""Pages of parcels in memory, a mebibyte each; others wait for their turn."""
KEY_SECONDS: Final = 300.0
"""How often is looked whether a new gateway key is due."""
EXPIRE_SECONDS: Final = 3600.0


def add_mail_routes(app: web.Application) -> None:
    """Adds routes and what stands behind them. The database has to be opened by a context that was added before."""
    add_mailbox_routes(app)
    add_greeting_routes(app)
    add_handle_routes(app)
    add_gateway_routes(app)
    add_relay_routes(app)
    add_wellknown_routes(app)
    add_webfinger_route(app)
    add_page_routes(app)
    app.cleanup_ctx.append(mail)
    app.on_shutdown.append(end_waiting)


async def mail(app: web.Application) -> AsyncIterator[None]:
    """Runs from start to stop of the server. Raises `ServerKeyError` where the server key cannot be read."""
    config, clock, database = app[CONFIG], app[CLOCK], app[DATABASE]
    key = await asyncio.to_thread(load_server_key, app[DATA_DIR])
    keys, key_store = ServerKeys(key, config.host), SqliteGatewayKeys(database)
    await rotate(keys, key_store, clock())
    boxes, relayed = SqliteMailboxes(database, config.quotas), SqliteRelay(database, config.quotas)
    outbound = Outbound(config.federation)
    worker = Relay(relayed, outbound, clock, own_host=config.host)
    app[SERVER_KEYS], app[MAILBOXES], app[RELAYED] = keys, boxes, relayed
    meetings = Meetings(app[RENDEZVOUS], app[LIMITS].rendezvous)
    app[HANDLES] = handles = SqliteHandles(database)
    app[DIRECTORY] = directory = Directory(handles, app[LIMITS].look_ups, config.handles)
    app[GATEWAY], app[RELAY] = Gateway(keys, boxes, meetings, directory, clock), worker
    app[STATEMENTS], app[PAGES] = Statements(outbound, clock), asyncio.Semaphore(PAGES_AT_ONCE)
    await worker.start()
    rounds = [
        asyncio.create_task(repeat(KEY_SECONDS, lambda: rotate(keys, key_store, clock()))),
        asyncio.create_task(repeat(EXPIRE_SECONDS, lambda: expire(boxes, relayed, clock()))),
    ]
    yield
    for task in rounds:
        task.cancel()
    await asyncio.gather(*rounds, return_exceptions=True)
    await worker.close()
    await app[STATEMENTS].close()
    await outbound.close()


async def end_waiting(app: web.Application) -> None:
    """No request may hold up the stop of the server."""
    app[RELAY].end_waiting()


async def rotate(keys: ServerKeys, store: GatewayKeyStore, now: int) -> None:
    """Makes and publishes a new gateway key where one is due, and lets go of those whose time is over."""
    if keys.is_due(now):
        stored = await store.current(os.urandom(SEED_BYTES), now)
        await asyncio.to_thread(keys.take, stored, now)


async def expire(boxes: MailboxStore, relayed: RelayStore, now: int) -> None:
    """Removes parcels, greetings and answers whose time is over, a little in each transaction."""
    while await boxes.expire(now):
        pass
    while await relayed.expire(now):
        pass
