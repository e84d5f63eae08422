"""Running a vector of the format `guardian`."""

from __future__ import annotations

from collections.abc import Callable

from kith_protocol.guardian import Guard, Release, check_release, format_share_link, open_share, parse_share_link
from kith_protocol.splitting import candidates, read_share
from kith_protocol.suite import SealKey
from tests.support.vectors.vector import Json

Inputs = dict[str, Json]
unhex = bytes.fromhex


def _guardian(inputs: Inputs) -> Json:
    return _DOING[inputs["do"]](inputs)


def _open_share(inputs: Inputs) -> Json:
    message = Guard(inputs["made"], unhex(inputs["sealed"]))
    opened = open_share(SealKey(unhex(inputs["seed"])), unhex(inputs["guardian"]), unhex(inputs["root"]), message)
    return {"vault": opened.vault.hex(), "made": opened.made, "words": opened.words}


def _check_release(inputs: Inputs) -> Json:
    message = Release(inputs["made"], unhex(inputs["signature"]))
    check_release(unhex(inputs["root"]), unhex(inputs["guardian"]), message)
    return {"made": message.made}


def _read_share(inputs: Inputs) -> Json:
    share = read_share(inputs["words"])
    return {"words": share.words, "needed": share.needed, "place": share.place}


def _join(inputs: Inputs) -> Json:
    found = candidates([read_share(words) for words in inputs["shares"]])
    return [{"entropy": each.entropy.hex(), "fitting": sorted(each.fitting)} for each in found]


def _read_link(inputs: Inputs) -> Json:
    link = parse_share_link(inputs["link"])
    return {"host": link.host, "vault": link.vault.hex(), "words": link.share.words, "link": format_share_link(link)}


_DOING: dict[str, Callable[[Inputs], Json]] = {
    "open-share": _open_share,
    "check-release": _check_release,
    "read-share": _read_share,
    "join": _join,
    "read-link": _read_link,
}

GUARDIAN_RUNNERS: dict[str, Callable[[Inputs], Json]] = {"guardian": _guardian}
