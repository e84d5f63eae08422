"""Units written under one version of vCard → the same as another version writes them.

Covers what programs stumble over: preference, inline data, kinds, required properties. What has no equal in the other
version passes unchanged. The place for the full conversion (RFC 6350 appendix A, Apple's and Google's X- properties).
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import replace
from typing import Final

from kith_client.contacts.escapes import escape, unescape
from kith_client.contacts.model import Property, Unit
from kith_client.contacts.vcard_header import Params
from kith_client.contacts.vcard_write import Version
from kith_client.contacts.views import NO_NAME, display_name, name_from_words

_DATA_URI = re.compile(r"data:([^;,]{0,100})((?:;[^;,]{1,100}){0,4}?);base64\\?,", re.IGNORECASE)
_MEDIA: Final = {"PHOTO": "image", "LOGO": "image", "SOUND": "audio", "KEY": "application"}
_TO_4: Final = {"X-ADDRESSBOOKSERVER-KIND": "KIND", "X-ADDRESSBOOKSERVER-MEMBER": "MEMBER"}
_TO_3: Final = {new: old for old, new in _TO_4.items()}
_MEDIA_NAMES: Final = frozenset(
    {"JPEG", "JPG", "PNG", "GIF", "WEBP", "SVG", "BMP", "TIFF", "PGP", "X509", "OGG", "WAVE"}
)


def to_version(units: Iterable[Unit], version: Version) -> tuple[Unit, ...]:
    """The units as `version` writes them, with the properties that it requires (FN; in 3.0 also N)."""
    convert = _to_4 if version == "4.0" else _to_3
    converted = tuple(tuple(convert(prop) for prop in unit) for unit in units)
    return with_required(converted, version)


def with_required(units: tuple[Unit, ...], version: Version) -> tuple[Unit, ...]:
    """Adds FN, and in 3.0 N, where they are missing: programs refuse cards without them. Who has no name gets none."""
    names = {prop.key for unit in units for prop in unit}
    name = display_name(units).removeprefix(NO_NAME)
    added: list[Unit] = []
    if "FN" not in names:
        added.append((Property("FN", escape(name)),))
    if version == "3.0" and "N" not in names:
        added.append(name_from_words(name))
    return (*added, *units)


def _to_4(prop: Property) -> Property:
    name = _TO_4.get(prop.key, prop.name)
    changed = replace(prop, name=name, params=_pref_to_number(prop.params))
    return _to_data_uri(changed) if prop.key in _MEDIA else changed


def _to_3(prop: Property) -> Property:
    group_kind = prop.key == "KIND" and prop.value.strip().lower() == "group"
    name = _TO_3[prop.key] if group_kind or prop.key == "MEMBER" else prop.name
    changed = replace(prop, name=name, params=_pref_to_type(prop.params))
    return _from_data_uri(changed) if prop.key in _MEDIA else changed


def _pref_to_number(params: Params) -> Params:
    kept: list[tuple[str, tuple[str, ...]]] = []
    preferred = False
    for name, values in params:
        rest = tuple(v for v in values if v.lower() != "pref") if name.upper() == "TYPE" else values
        preferred = preferred or rest != values
        if rest or not values:
            kept.append((name, rest))
    if preferred and not any(name.upper() == "PREF" for name, _ in kept):
        kept.append(("PREF", ("1",)))
    return tuple(kept)


def _pref_to_type(params: Params) -> Params:
    return tuple(("TYPE", ("pref",)) if (n.upper(), v) == ("PREF", ("1",)) else (n, v) for n, v in params)


def _to_data_uri(prop: Property) -> Property:
    if not any(value.upper() in ("B", "BASE64") for value in prop.param("ENCODING")):
        return prop
    kinds = [value for value in prop.param("TYPE") if value.upper() in _MEDIA_NAMES or "+" in value]
    kind = kinds[0].lower() if kinds else "octet-stream"
    media = f"{_MEDIA[prop.key] if kinds else 'application'}/{'jpeg' if kind == 'jpg' else kind}"
    params = tuple(
        (n, v) for n, v in prop.params if n.upper() not in ("ENCODING", "VALUE") and v[:1] != tuple(kinds[:1])
    )
    return replace(prop, value=f"data:{media};base64,{prop.value}", params=params)


def _from_data_uri(prop: Property) -> Property:
    uri = _DATA_URI.match(prop.value)
    if uri is None:
        return prop
    kind = unescape(uri[1]).rpartition("/")[2].upper()
    params = tuple((n, v) for n, v in prop.params if n.upper() not in ("MEDIATYPE", "VALUE", "ENCODING"))
    named: Params = (("TYPE", (kind,)),) if kind and not any(n.upper() == "TYPE" for n, _ in params) else ()
    return replace(prop, value=prop.value[uri.end() :], params=(("ENCODING", ("b",)), *named, *params))
