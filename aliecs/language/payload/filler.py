"""Latin that means nothing, for the tag `lorem`: the text that printers have long used."""

from __future__ import annotations

from random import Random

_TEXTS = (
    """
    Lorem ipsum dolor sit amet, consectetur adipisici elit, sed eiusmod tempor incidunt ut
    labore et dolore magna aliqua. Ut enim ad minim veniam, quis nostrud exercitation
    ullamco laboris nisi ut aliquid ex ea commodi consequat. Quis aute iure reprehenderit in
    voluptate velit esse cillum dolore eu fugiat nulla pariatur. Excepteur sint obcaecat
    cupiditat non proident, sunt in culpa qui officia deserunt mollit anim id est laborum.
    """,
    """
    Duis autem vel eum iriure dolor in hendrerit in vulputate velit esse molestie consequat,
    vel illum dolore eu feugiat nulla facilisis at vero eros et accumsan et iusto odio
    dignissim qui blandit praesent luptatum zzril delenit augue duis dolore te feugait nulla
    facilisi. Lorem ipsum dolor sit amet, consectetuer adipiscing elit, sed diam nonummy
    nibh euismod tincidunt ut laoreet dolore magna aliquam erat volutpat.
    """,
    """
    Ut wisi enim ad minim veniam, quis nostrud exerci tation ullamcorper suscipit lobortis
    nisl ut aliquip ex ea commodo consequat. Duis autem vel eum iriure dolor in hendrerit in
    vulputate velit esse molestie consequat, vel illum dolore eu feugiat nulla facilisis at
    vero eros et accumsan et iusto odio dignissim qui blandit praesent luptatum zzril
    delenit augue duis dolore te feugait nulla facilisi.
    """,
    """
    Nam liber tempor cum soluta nobis eleifend option congue nihil imperdiet doming id quod
    mazim placerat facer possim assum. Lorem ipsum dolor sit amet, consectetuer adipiscing
    elit, sed diam nonummy nibh euismod tincidunt ut laoreet dolore magna aliquam erat
    volutpat. Ut wisi enim ad minim veniam, quis nostrud exerci tation ullamcorper suscipit
    lobortis nisl ut aliquip ex ea commodo consequat.
    """,
    """
    Duis autem vel eum iriure dolor in hendrerit in vulputate velit esse molestie consequat,
    vel illum dolore eu feugiat nulla facilisis.
    """,
    """
    At vero eos et accusam et justo duo dolores et ea rebum. Stet clita kasd gubergren, no
    sea takimata sanctus est Lorem ipsum dolor sit amet. Lorem ipsum dolor sit amet,
    consetetur sadipscing elitr, sed diam nonumy eirmod tempor invidunt ut labore et dolore
    magna aliquyam erat, sed diam voluptua. At vero eos et accusam et justo duo dolores et
    ea rebum. Stet clita kasd gubergren, no sea takimata sanctus est Lorem ipsum dolor sit
    amet. Lorem ipsum dolor sit amet, consetetur sadipscing elitr, At accusam aliquyam diam
    diam dolore dolores duo eirmod eos erat, et nonumy sed tempor et et invidunt justo
    labore Stet clita ea et gubergren, kasd magna no rebum. sanctus sea sed takimata ut vero
    voluptua. est Lorem ipsum dolor sit amet. Lorem ipsum dolor sit amet, consetetur
    sadipscing elitr, sed diam nonumy eirmod tempor invidunt ut labore et dolore magna
    aliquyam erat.
    """,
    """
    Consetetur sadipscing elitr, sed diam nonumy eirmod tempor invidunt ut labore et dolore
    magna aliquyam erat, sed diam voluptua. At vero eos et accusam et justo duo dolores et
    ea rebum. Stet clita kasd gubergren, no sea takimata sanctus est Lorem ipsum dolor sit
    amet. Lorem ipsum dolor sit amet, consetetur sadipscing elitr, sed diam nonumy eirmod
    tempor invidunt ut labore et dolore magna aliquyam erat, sed diam voluptua. At vero eos
    et accusam et justo duo dolores et ea rebum. Stet clita kasd gubergren, no sea takimata
    sanctus est Lorem ipsum dolor sit amet. Lorem ipsum dolor sit amet, consetetur
    sadipscing elitr, sed diam nonumy eirmod tempor invidunt ut labore et dolore magna
    aliquyam erat, sed diam voluptua. At vero eos et accusam et justo duo dolores et ea
    rebum. Stet clita kasd gubergren, no sea takimata sanctus est Lorem ipsum dolor sit
    amet.
    """,
)
_PARAGRAPHS = tuple(" ".join(text.split()) for text in _TEXTS)
_WORDS = tuple(word for paragraph in _PARAGRAPHS for word in paragraph.split())


def words(count: int, random: Random | None) -> str:
    """So many words, from the beginning or at random."""
    if random is not None:
        return " ".join(random.choice(_WORDS) for _ in range(count))
    return " ".join(_WORDS[number % len(_WORDS)] for number in range(count))


def paragraphs(count: int, random: Random | None, before: str, after: str) -> str:
    """So many paragraphs, from the beginning or at random, each between `before` and `after`."""
    if random is not None:
        chosen = [random.choice(_PARAGRAPHS) for _ in range(count)]
    else:
        chosen = [_PARAGRAPHS[number % len(_PARAGRAPHS)] for number in range(count)]
    return "\n".join(f"{before}{paragraph}{after}" for paragraph in chosen)
