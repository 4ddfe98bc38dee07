"""The tree and the channels, drawn."""

from __future__ import annotations

import itertools
import xml.etree.ElementTree as ElementTree

from aliecs.workflow.drawing import Link, draw_svg, draw_text, rows_of
from aliecs.workflow.loader import LoadRequest, load
from aliecs.workflow.role import Role

from ..language.sources import DictSources

SVG = "{http://www.w3.org/2000/svg}"
WORKFLOW = """\
name: w
roles:
  - name: "host-{{ it }}"
    for: { begin: "1", end: "5", var: it }
    roles:
      - { name: readout, task: { load: readout } }
      - { name: hook, task: { load: hook, trigger: DESTROY } }
  - { name: "<&>", task: { load: sender } }
  - { name: call, call: { func: "a.B()", trigger: before_CONFIGURE } }
"""


def root() -> Role:
    sources = DictSources(
        workflows={"w": WORKFLOW},
        tasks={name: f"name: {name}" for name in ("readout", "hook", "sender")},
    )
    return load(LoadRequest("w", "env1"), sources).root


LINKS = [
    Link("w.<&>", "w.host-1.readout", "data", "shmem"),
    Link("w.<&>", "w.host-2.readout", "data", "zeromq"),
    Link("w.<&>", "w.host-4.readout", "data", "shmem"),
]


def test_text() -> None:
    assert draw_text(rows_of(root()), LINKS) == (
        "w\n"
        "|-- host-1\n"
        "|   |-- readout  [task: readout]\n"
        "|   |       <- w.<&>:data\n"
        "|   `-- hook  [hook: hook at DESTROY]\n"
        "|-- host-2\n"
        "|   |-- readout  [task: readout]\n"
        "|   |       <- w.<&>:data\n"
        "|   `-- hook  [hook: hook at DESTROY]\n"
        "|-- ... 3 more like it\n"
        "|-- <&>  [task: sender]\n"
        "`-- call  [call: a.B() at before_CONFIGURE]\n"
    )


def test_everything() -> None:
    assert len(rows_of(root(), complete=True)) == 1 + 5 * 3 + 2
    assert "more like it" not in draw_text(rows_of(root(), complete=True), ())


def test_svg() -> None:
    for complete, arcs in ((False, 2), (True, 3)):
        rows = rows_of(root(), complete)
        picture = ElementTree.fromstring(draw_svg("a <title>", rows, LINKS))
        texts = ["".join(text.itertext()).split()[0] for text in picture.iter(f"{SVG}text")]
        assert texts[0] == "a"
        assert "<&>" in texts
        assert len(list(picture.iter(f"{SVG}circle"))) == arcs
        height = float(picture.get("height", "0"))
        assert all(float(text.get("y", "0")) < height for text in picture.iter(f"{SVG}text"))


def test_arcs_of_one_lane_do_not_meet() -> None:
    rows = rows_of(root(), complete=True)
    paths = [row.path for row in rows]
    links = [Link(paths[low], paths[low + 4], "x", "shmem") for low in range(1, 12)]
    picture = ElementTree.fromstring(draw_svg("t", rows, links))
    spans: dict[str, list[tuple[float, float]]] = {}
    for path in picture.iter(f"{SVG}path"):
        words = path.get("d", "").split()
        if path.get("stroke-width"):
            lane, top = words[2], float(words[1])
            bottom = float(words[-2].split("H")[0]) if "H" in words[-2] else float(words[-2])
            spans.setdefault(lane, []).append((top, bottom))
    assert len(spans) > 1
    for lane in spans.values():
        ordered = sorted(lane)
        assert all(a[1] < b[0] for a, b in itertools.pairwise(ordered))


def test_names_with_what_xml_cannot_hold() -> None:
    rows = rows_of(root())
    draw = draw_svg("bad\x01\x00 title", rows, ())
    assert "bad\N{REPLACEMENT CHARACTER}" in draw
    ElementTree.fromstring(draw)
