import io
import xml.etree.ElementTree as ET

import pytest
from rich.console import Console

from model.diffusion.canvas import masked_canvas
from model.diffusion.policy import Policy
from model.diffusion.render import confidence_colour, svg, terminal_view
from model.diffusion.run import Run
from model.diffusion.trajectory import record
from model.tokenizer import EOM, Tokenizer, tokenizer_json

SVG = "{http://www.w3.org/2000/svg}"
HOSTILE = "a<b>&\x1b]8;;x\u202e[bold]"


@pytest.fixture(scope="module")
def tokenizer():
    return Tokenizer.from_bytes(tokenizer_json([("r", "e"), ("t", "u")]).encode())


@pytest.fixture
def frames(play):
    text = [64 + byte for byte in HOSTILE.encode()] + [64 + 10, 64 + ord("z")]

    def beliefs(request):
        said = {}
        for ask in request.asks:
            place = request.first_position + ask.index
            said[ask.index] = {text[place] if place < len(text) else EOM: 0.3 if place % 5 == 1 else 0.9}
        return said

    return play(Run([1, 10], masked_canvas(40), Policy(tau_mask=0.5, first_block=8, block=8)), beliefs)


def terminal(renderable):
    out = io.StringIO()
    Console(file=out, force_terminal=True, color_system="truecolor", width=100).print(renderable)
    return out.getvalue()


def test_the_terminal_view_shows_masks_and_no_foreign_control_sequence(tokenizer, frames):
    shown = terminal(terminal_view(frames[0], tokenizer.token_bytes.__getitem__, before="x = \x07"))
    assert "░" in shown
    assert "⟨U+0007⟩" in shown
    last = terminal(terminal_view(frames[-1], tokenizer.token_bytes.__getitem__))
    assert "⟨U+001B⟩" in last
    assert "⟨U+202E⟩" in last
    assert "\x1b]8" not in last
    assert "\u202e" not in last
    plain = terminal_view(frames[-1], tokenizer.token_bytes.__getitem__).plain
    assert "[bold]" in plain  # text, not markup


@pytest.mark.parametrize("animated", [True, False])
def test_the_svg_is_well_formed_and_inert(tokenizer, frames, animated):
    document = svg(record(tokenizer, frames, before='"<script>'), animated=animated)
    root = ET.fromstring(document)
    assert root.tag == f"{SVG}svg"
    names = {element.tag.removeprefix(SVG) for element in root.iter()}
    assert names <= {"svg", "title", "rect", "g", "text", "tspan", "animate"}
    assert all(not name.startswith("on") and "href" not in name for e in root.iter() for name in e.attrib)
    text = "".join(root.itertext())
    assert '"<script>a' in text
    assert "⟨U+202E⟩" in text
    assert "░" in text
    assert ("animate" in names) is animated


def test_an_animated_svg_shows_one_frame_at_a_time_and_the_last_without_smil(tokenizer, frames):
    root = ET.fromstring(svg(record(tokenizer, frames), animated=True, step_ms=500, hold_ms=1000))
    groups = [g for g in root.iter(f"{SVG}g") if "opacity" in g.attrib]
    assert len(groups) == len(frames)
    assert [g.get("opacity") for g in groups] == ["0"] * (len(frames) - 1) + ["1"]
    total = 500 * (len(frames) - 1) + 1000
    shown = []
    for group in groups:
        animation = group.find(f"{SVG}animate")
        assert animation is not None
        assert animation.get("dur") == f"{total}ms"
        times = [float(t) for t in animation.get("keyTimes", "").split(";")]
        values = animation.get("values", "").split(";")
        assert times[0] == 0.0
        shown.append(dict(zip(times, values, strict=True)))
    for k in range(len(frames)):  # in the middle of frame k exactly frame k is visible
        now = (500 * k + 250) / total
        visible = [i for i, keys in enumerate(shown) if keys[max(t for t in keys if t <= now)] == "1"]
        assert visible == [k]


def test_a_strip_is_taller_than_an_animation(tokenizer, frames):
    trajectory = record(tokenizer, frames)
    heights = [int(ET.fromstring(svg(trajectory, animated=a)).get("height", 0)) for a in (True, False)]
    assert heights[1] > heights[0]


def test_confidence_colours_run_from_red_to_green():
    assert confidence_colour(0.0) == confidence_colour(-1.0) == "#e05a4f"
    assert confidence_colour(0.5) == "#d9b44a"
    assert confidence_colour(1.0) == confidence_colour(2.0) == "#6cc070"
