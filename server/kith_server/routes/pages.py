"""The pages behind an invite and an address, for people without a client: static, and no script.

The secret behind `#` never comes here. The page of an address is the same for all, whether somebody is there or not.
"""

from __future__ import annotations

from typing import Final

from aiohttp import web

HEADERS: Final = {
    "Content-Security-Policy": (
        "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
    "Cache-Control": "public, max-age=3600",
}
_TOP: Final = """<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="referrer" content="no-referrer">
<meta name="robots" content="noindex">
<style>
body { font: 1.05rem/1.6 system-ui, sans-serif; max-width: 36rem; margin: 3rem auto; padding: 0 1.2rem;
  color: #1c1c1c; background: #fdfdfb }
h1 { font-size: 1.6rem; line-height: 1.25 }
code { font-size: .95em; background: #eeede8; padding: .15em .35em; border-radius: .25em; overflow-wrap: anywhere }
li { margin: .6rem 0 }
@media (prefers-color-scheme: dark) { body { color: #e8e8e4; background: #191a1b } code { background: #2b2c2e } }
</style>
"""
_ABOUT: Final = """<p>Kithbook is an address book that you and your friends keep for each other. When somebody whom you
know moves or gets a new number, your address book knows it; each of you decides what the other sees. No server can read
any of it.</p>
"""
INVITE_PAGE: Final = (
    _TOP
    + """<title>An invitation to connect - Kithbook</title>
<h1>Somebody invites you to connect</h1>
"""
    + _ABOUT
    + """<h2>How to accept</h2>
<ol>
<li>Copy the whole address of this page, with everything behind the <code>#</code>. That part is the key to the
invitation: your browser keeps it to itself, and this server has not seen it. Do not pass it on.</li>
<li>If you use Kithbook already, run <code>kith accept -</code> and paste the address there.</li>
<li>If not, install it with <code>pip install kithbook</code>, begin with
<code>kith init --server https://YOUR-SERVER --name "Your Name"</code> on a server that you trust (it need not be this
one), and then accept as above.</li>
</ol>
<p>An invitation usually works once, and for some days only. If it does not work any more, ask for a new one.</p>
</html>
"""
)
ADDRESS_PAGE: Final = (
    _TOP
    + """<title>An address - Kithbook</title>
<h1>The address of somebody who uses Kithbook</h1>
"""
    + _ABOUT
    + """<h2>How to ask them</h2>
<ol>
<li>The address of this page ends in <code>/@NAME</code>. If somebody takes requests here under this name, you reach
them as <code>NAME@SERVER</code>, with the name of this server behind the <code>@</code>.</li>
<li>If you use Kithbook already, run <code>kith accept NAME@SERVER</code>. They see your request and accept it or
not.</li>
<li>If not, install it with <code>pip install kithbook</code> and begin with
<code>kith init --server https://YOUR-SERVER --name "Your Name"</code> on a server that you trust.</li>
</ol>
<p>This page does not say whether there is such a person. Who comes to you by such an address is not verified: compare
the safety numbers, by telephone or when you meet.</p>
</html>
"""
)


async def invite(_request: web.Request) -> web.Response:
    """`GET /i`"""
    return web.Response(text=INVITE_PAGE, content_type="text/html", headers=HEADERS)


async def address(_request: web.Request) -> web.Response:
    """`GET /@{handle}`"""
    return web.Response(text=ADDRESS_PAGE, content_type="text/html", headers=HEADERS)


def add_page_routes(app: web.Application) -> None:
    app.add_routes([web.get("/i", invite), web.get("/@{handle}", address)])
