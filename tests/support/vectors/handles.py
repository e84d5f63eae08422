"""Scenarios of the format `handle`: what somebody may be called, and how others write it."""

from __future__ import annotations

from collections.abc import Iterator

from kith_protocol.handle import MAX_HANDLE
from tests.support.vectors.vector import Vector


def handles() -> Iterator[Vector]:
    yield from _chosen()
    yield from _addresses()


def _chosen() -> Iterator[Vector]:
    def vector(name: str, says: str, text: str, fails: str | None = "bad-handle") -> Vector:
        return Vector("handle", f"chosen-{name}", says, {"do": "choose", "text": text}, fails)

    yield vector("short", "The shortest.", "ab", None)
    yield vector("long", "The longest.", "a" * MAX_HANDLE, None)
    yield vector("signs-inside", "Dot, hyphen and underscore between letters.", "anna.b-c_2", None)
    yield vector("capitals", "Capitals are small letters.", "Anna", None)
    yield vector("too-short", "One letter.", "a")
    yield vector("too-long", "A letter too many.", "a" * (MAX_HANDLE + 1))
    yield vector("dot-first", "Begins with a dot.", ".anna")
    yield vector("hyphen-last", "Ends with a hyphen.", "anna-")
    yield vector("two-signs", "Two signs in a row.", "anna._beck")
    yield vector("space", "A space.", "anna beck")
    yield vector("umlaut", "Not ASCII.", "änna")
    yield vector("cyrillic", "The first letter is a Cyrillic one and looks like an a.", "\u0430nna")
    yield vector("wide", "Full-width letters, which some programs turn into ASCII.", "\uff41nna")
    yield vector("kelvin", "The sign for kelvin becomes a k in small letters.", "\u212aith")
    yield vector("zero-width", "A character that is not seen.", "an\u200bna")
    yield vector("line-feed", "A line feed at its end.", "anna\n")
    yield vector("reserved", "Would be taken for the operator.", "Admin", "handle-reserved")


def _addresses() -> Iterator[Vector]:
    def vector(name: str, says: str, text: str, fails: str | None = "bad-address") -> Vector:
        return Vector("handle", f"address-{name}", says, {"do": "read-address", "text": text}, fails)

    yield vector("plain", "As people write it.", "anna@anna.example", None)
    yield vector("kith", "As WebFinger links it.", " KITH:Anna@Anna.Example:8400\n", None)
    yield vector("acct", "As WebFinger names people.", "acct:anna@anna.example", None)
    yield vector("page", "The page of the address.", "https://anna.example/@anna", None)
    yield vector("default-port", "The port that HTTPS has anyway.", "anna@anna.example:443", None)
    yield vector("without-handle", "Nobody is named.", "@anna.example")
    yield vector("without-host", "No server is named.", "anna@")
    yield vector("without-at", "A server alone.", "anna.example")
    yield vector("endless", "Longer than any address.", "anna@" + "a" * 400)
    yield vector("two-ats", "Two hosts: which one is meant?", "anna@b.example@a.example", "bad-host")
    yield vector("host-with-path", "Names a folder.", "anna@anna.example/x", "bad-host")
    yield vector("http-page", "Not encrypted on its way.", "http://anna.example/@anna", "bad-handle")
    yield vector("handle-with-space", "No such handle.", "anna b@anna.example", "bad-handle")
    yield vector("half-an-address", "The host looks like an address and is none.", "anna@127.1", "bad-host")
