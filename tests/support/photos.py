"""Codes as a telephone's camera sees them."""

from __future__ import annotations

import io
import random

from PIL import Image, ImageFilter

from kith_client.qr import png


def picture(text: str) -> Image.Image:
    return Image.open(io.BytesIO(png(text))).convert("L")


def photographed(code: Image.Image, seed: int) -> Image.Image:
    """As a telephone sees a card on a table: turned, at an angle, small in the picture, a little out of focus, uneven
    light, noise."""
    rng = random.Random(seed)
    card = Image.new("L", (code.width + 200, code.height + 120), 250)
    card.paste(code, (100, 60))
    lean = rng.uniform(0, 0.12)
    card = card.transform(
        card.size, Image.Transform.PERSPECTIVE, (1, 0, 0, lean * 0.3, 1, 0, 0, lean / card.height, 1), fillcolor=250
    )
    card = card.rotate(rng.uniform(0, 360), expand=True, fillcolor=120, resample=Image.Resampling.BICUBIC)
    side = rng.randint(480, 700)
    card = card.resize((side, side * card.height // card.width), Image.Resampling.BILINEAR)
    table = Image.linear_gradient("L").resize((1600, 1200)).point([60 + value // 3 for value in range(256)])
    table.paste(card, (rng.randint(0, 900), rng.randint(0, 300)))
    noise = Image.effect_noise(table.size, 25)
    return Image.blend(table, noise, 0.12).filter(ImageFilter.GaussianBlur(rng.uniform(0.3, 1.0)))
