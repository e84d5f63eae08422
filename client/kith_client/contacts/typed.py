"""From what a person types to a property: escaped, checked, structured. The reverse is in `views`."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from kith_client.contacts.escapes import escape, map_parts, unescape
from kith_client.contacts.model import NAME, STRUCTURAL, Property, Unit
from kith_client.contacts.vcard_header import Params
from kith_client.contacts.vcard_legacy import LISTS, STRUCTURED
from kith_protocol.errors import KithError

MAX_TYPED_NAME: Final = 100
"""Characters of a property's name."""

_AS_TYPED: Final = frozenset(
    {
        *("URL", "UID", "REV", "BDAY", "ANNIVERSARY", "DEATHDATE", "GEO", "TZ", "PHOTO", "LOGO", "SOUND", "KEY"),
        *("SOURCE", "MEMBER", "RELATED", "IMPP", "CALURI", "CALADRURI", "FBURL", "LANG", "KIND"),
    }
)
"""Values that are addresses, dates or numbers, in which comma and semicolon are ordinary characters."""
_PARTICLES: Final = frozenset(
    {
        *("van", "von", "vom", "der", "den", "de", "del", "della", "di", "da", "du", "la", "le"),
        *("ten", "ter", "zu", "zum", "zur", "af", "bin", "ibn", "el", "al"),
    }
)
_PREFIXES: Final = frozenset({"dr", "dr.", "prof", "prof.", "mr", "mr.", "mrs", "mrs.", "ms", "ms.", "herr", "frau"})


class InvalidProperty(KithError):
    """What was typed is no possible property."""

    code = "invalid-property"


def make_property(name: str, text: str, params: Params | Iterable[tuple[str, Iterable[str]]] = ()) -> Property:
    r"""The property `name` with `text` as a person types it. Raises `InvalidProperty`.

    In N, ADR, ORG and GENDER semicolons part the components and in CATEGORIES and NICKNAME commas part the values; a
    typed `\;` or `\,` is an ordinary character.
    """
    key = name.upper()
    if not NAME.fullmatch(name) or len(name) > MAX_TYPED_NAME or key in STRUCTURAL:
        raise InvalidProperty("A property's name consists of letters, digits and hyphens, such as TEL or X-SKYPE.")
    checked = tuple((_param_name(param), tuple(values)) for param, values in params)
    return Property(name if name != name.lower() else key, _value(key, text.strip()), checked)


def _param_name(name: str) -> str:
    if not NAME.fullmatch(name):
        raise InvalidProperty("A parameter's name consists of letters, digits and hyphens, such as TYPE.")
    return name


def _value(key: str, text: str) -> str:
    if key in STRUCTURED:
        return map_parts(text, ";", lambda part: escape(unescape(part).strip()))
    if key in LISTS:
        return map_parts(text, ",", lambda part: escape(unescape(part).strip()))
    if key in _AS_TYPED:
        return text.replace("\r", "").replace("\n", "")
    return escape(text)


def name_from_words(text: str) -> Unit:
    """The N of a name in its usual order ("Dr. Anna van der Berg") or as "Berg, Anna". A single word is the given name.

    A guess, as only the person knows: the last word, with particles before it, is the family name.
    """
    family, comma, given = text.partition(",")
    if comma:
        return _name(family, given, "")
    words = text.split()
    count = 0
    while count < len(words) - 1 and words[count].lower() in _PREFIXES:
        count += 1
    prefix, rest = " ".join(words[:count]), words[count:]
    if len(rest) < 2:
        return _name("", " ".join(rest), prefix)
    start = len(rest) - 1
    while start > 1 and rest[start - 1] in _PARTICLES:
        start -= 1
    return _name(" ".join(rest[start:]), " ".join(rest[:start]), prefix)


def _name(family: str, given: str, prefix: str) -> Unit:
    parts = (escape(part.strip()) for part in (family, given, "", prefix, ""))
    return (Property("N", ";".join(parts)),)
