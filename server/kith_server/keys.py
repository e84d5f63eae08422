"""Typed keys under which the application keeps what requests need. `app` fills them; routes read them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Final

from aiohttp import web

from kith_server.bodies import Bodies
from kith_server.config import Config
from kith_server.feed import Feeds
from kith_server.filling import Fills
from kith_server.limits import Limits
from kith_server.rendezvous import Rendezvous
from kith_server.sessions import Sessions
from kith_server.storage.database import Database
from kith_server.vaults import Vaults

Clock = Callable[[], int]
"""Milliseconds since 1970."""

CONFIG: Final = web.AppKey("config", Config)
DATA_DIR: Final = web.AppKey("data_dir", Path)
CLOCK: Final[web.AppKey[Clock]] = web.AppKey("clock")
DATABASE: Final = web.AppKey("database", Database)
VAULTS: Final = web.AppKey("vaults", Vaults)
SESSIONS: Final = web.AppKey("sessions", Sessions)
RENDEZVOUS: Final = web.AppKey("rendezvous", Rendezvous)
LIMITS: Final = web.AppKey("limits", Limits)
FEEDS: Final = web.AppKey("feeds", Feeds)
FILLS: Final = web.AppKey("fills", Fills)
BODIES: Final = web.AppKey("bodies", Bodies)
