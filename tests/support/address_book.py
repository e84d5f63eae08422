"""Realistic address books of any size: several scripts, families, companies, birthdays, some photos. Deterministic."""

from __future__ import annotations

import base64
import random
from collections.abc import Iterator
from dataclasses import dataclass

from mimesis import Generic
from mimesis.locales import Locale

LOCALES = (Locale.EN, Locale.DE, Locale.FR, Locale.ES, Locale.RU, Locale.JA, Locale.EL, Locale.TR, Locale.PL)
PHOTO_BYTES = 20_000


@dataclass(frozen=True)
class Person:
    """Somebody in the book."""

    given: str
    family: str

    @property
    def name(self) -> str:
        return f"{self.given} {self.family}"


def vcards(count: int, seed: int = 1, photo_every: int = 10) -> Iterator[bytes]:
    """`count` cards, each as bytes with CRLF, vCard 3.0 and 4.0 in turns; every `photo_every`th has a photo."""
    chance = random.Random(seed)
    makers = [Generic(locale, seed=seed + number) for number, locale in enumerate(LOCALES)]
    for number in range(count):
        maker = makers[number % len(makers)]
        lines = _card(maker, chance, number)
        if photo_every and number % photo_every == 0:
            lines.append(_photo(chance, number % 2 == 0))
        yield "\r\n".join(["BEGIN:VCARD", *lines, "END:VCARD", ""]).encode()


def address_book(count: int, seed: int = 1, photo_every: int = 10) -> bytes:
    """A file with `count` cards."""
    return b"".join(vcards(count, seed, photo_every))


def _card(maker: Generic, chance: random.Random, number: int) -> list[str]:
    given, family = maker.person.first_name(), maker.person.last_name()
    version = "3.0" if number % 2 == 0 else "4.0"
    lines = [f"VERSION:{version}", f"UID:urn:uuid:{chance.getrandbits(128):032x}"]
    lines += [f"FN:{given} {family}", f"N:{family};{given};;;"]
    lines.append(f"EMAIL;TYPE=HOME:person{number}@{maker.internet.hostname()}")
    lines.append(f"TEL;TYPE=CELL:+49 {chance.randint(150, 179)} {chance.randint(1000000, 9999999)}")
    if number % 2:
        lines.append(f"TEL;TYPE=WORK:+49 40 {chance.randint(100000, 999999)}")
    if number % 3 == 0:
        street = maker.address.address().replace(",", "\\,").replace(";", "\\;")
        lines.append(f"ADR;TYPE=HOME:;;{street};{maker.address.city()};;{maker.address.zip_code()};")
    if number % 4 == 0:
        lines.append(f"ORG:{maker.finance.company()}".replace(",", "\\,"))
        lines.append(f"TITLE:{maker.person.occupation()}".replace(",", "\\,"))
    if number % 5 == 0:
        lines.append(f"BDAY:{chance.randint(1940, 2010)}-{chance.randint(1, 12):02}-{chance.randint(1, 28):02}")
    if number % 7 == 0:
        lines += [f"item1.URL:https://example.com/{number}", "item1.X-ABLabel:_$!<HomePage>!$_"]
    if number % 6 == 0:
        lines.append("NOTE:" + maker.text.sentence().replace(",", "\\,").replace(";", "\\;"))
    return lines


def _photo(chance: random.Random, old: bool) -> str:
    data = b"\xff\xd8\xff\xe0" + chance.randbytes(PHOTO_BYTES - 6) + b"\xff\xd9"
    text = base64.b64encode(data).decode()
    return f"PHOTO;ENCODING=b;TYPE=JPEG:{text}" if old else f"PHOTO:data:image/jpeg;base64,{text}"
