"""Wires one server together: settings, storage, services, routes, and what runs in the background."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress
from pathlib import Path

from aiohttp import web

from kith_server import keys
from kith_server.bodies import SMALL, Bodies
from kith_server.chains import Chains
from kith_server.clock import system_clock
from kith_server.config import Config
from kith_server.feed import Feeds
from kith_server.filling import Fills
from kith_server.limits import Limits
from kith_server.mail import add_mail_routes
from kith_server.maintenance import ROUND_SECONDS, WATCH_SECONDS, OutsideWatch, forget_expired, repeat
from kith_server.middleware import set_headers, surround
from kith_server.rendezvous import Rendezvous
from kith_server.routes.feed import add_feed_routes
from kith_server.routes.filling import add_filling_routes
from kith_server.routes.health import add_health_routes
from kith_server.routes.leaving import add_leaving_routes
from kith_server.routes.rendezvous import add_rendezvous_routes
from kith_server.routes.replaced import add_replaced_route
from kith_server.routes.sessions import add_session_routes
from kith_server.routes.vaults import add_vault_routes
from kith_server.serving import create_runner as create_runner
from kith_server.sessions import Sessions
from kith_server.storage.database import DATABASE_NAME, Database
from kith_server.storage.fills import SqliteFills
from kith_server.storage.sessions import SqliteSessions
from kith_server.storage.vaults import SqliteVaults
from kith_server.vaults import Vaults


def create_app(config: Config, data_dir: Path, clock: keys.Clock = system_clock) -> web.Application:
    """A server over the files in `data_dir`; the database is opened when the application starts."""
    app = web.Application(middlewares=[surround], client_max_size=SMALL)
    app[keys.CONFIG] = config
    app[keys.DATA_DIR] = data_dir
    app[keys.CLOCK] = clock
    app[keys.LIMITS] = Limits()
    app[keys.BODIES] = Bodies()
    app[keys.RENDEZVOUS] = Rendezvous(clock)
    app.cleanup_ctx.append(_storage)
    app.cleanup_ctx.append(_maintenance)
    app.on_response_prepare.append(set_headers)
    app.on_shutdown.append(_end_waiting)
    add_health_routes(app)
    add_vault_routes(app)
    add_session_routes(app)
    add_feed_routes(app)
    add_replaced_route(app)
    add_filling_routes(app)
    add_leaving_routes(app)
    add_rendezvous_routes(app)
    add_mail_routes(app)
    return app


async def _storage(app: web.Application) -> AsyncIterator[None]:
    database = await Database.open(app[keys.DATA_DIR] / DATABASE_NAME)
    config, clock = app[keys.CONFIG], app[keys.CLOCK]
    vaults = SqliteVaults(database)
    chains = Chains(vaults)
    app[keys.DATABASE] = database
    sessions = Sessions(SqliteSessions(database), chains, config.host, clock)
    app[keys.SESSIONS] = sessions
    app[keys.VAULTS] = Vaults(vaults, chains, config, clock, sessions)
    app[keys.FEEDS] = Feeds(vaults)
    app[keys.FILLS] = Fills(SqliteFills(database), vaults, chains, config, clock)
    yield
    await database.close()


async def _maintenance(app: web.Application) -> AsyncIterator[None]:
    database, vaults, clock = app[keys.DATABASE], app[keys.VAULTS], app[keys.CLOCK]
    sessions = SqliteSessions(database)
    fills = app[keys.FILLS]
    watch = OutsideWatch(database, vaults.chains, app[keys.SESSIONS])
    await watch.look()
    tasks = [
        asyncio.create_task(repeat(WATCH_SECONDS, watch.look)),
        asyncio.create_task(
            repeat(ROUND_SECONDS, lambda: forget_expired(vaults.store, sessions, vaults.chains, clock()))
        ),
        asyncio.create_task(repeat(ROUND_SECONDS, fills.sweep)),
    ]
    yield
    for task in tasks:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


async def _end_waiting(app: web.Application) -> None:
    app[keys.RENDEZVOUS].close()
