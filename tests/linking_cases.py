"""Small movies drawn as text: a letter is a cell, a dot background, and what the tracks should be."""

import numpy as np


def frame(*rows: str) -> np.ndarray:
    """A label image; the letters of a frame are numbered in their alphabetical order."""
    letters = sorted(set("".join(rows)) - {"."})
    return np.array([[letters.index(c) + 1 if c != "." else 0 for c in row] for row in rows], np.int32)


def movie(*rows: str) -> list[np.ndarray]:
    """Frames side by side, separated by blanks, as pictures are read."""
    return [frame(*part) for part in zip(*(row.split() for row in rows))]


STILL = movie(
    "aa..... .aa.... ..aa...",
    "aa..... .aa.... ..aa...",
    "....... ....... .......",
    "....bbb ....bbb ...bbb.",
    "....bbb ....bbb ...bbb.",
)
DIVISION = movie(
    "........ ........ b....... bb......",
    "..aaaa.. ..aaaa.. bb..cc.. bb....cc",
    "..aaaa.. ..aaaa.. bb..cc.. bb....cc",
    "........ ........ .....c.. ........",
)
GAP = movie(
    "aaa.... ....... .aaa... .aaa...",
    "aaa.... ....... .aaa... .aaa...",
    "....... ....... ....... .......",
    "....bbb ....bbb ....bbb ....bbb",
)
TOUCHING = movie(
    "aaa..bbb .aaabbb. .aaabbb. aaa..bbb",
    "aaa..bbb .aaabbb. .aaabbb. aaa..bbb",
    "aaa..bbb .aaabbb. .aaabbb. aaa..bbb",
)
MERGING = movie(
    "aaaaa.bb aaaaabb. ccccccc. ccccccc.",
    "aaaaa.bb aaaaabb. ccccccc. ccccccc.",
    "aaaaa.bb aaaaabb. ccccccc. ccccccc.",
)
LEAVING_AND_ENTERING = movie(
    "aa............ a............. .............. ..............",
    "aa............ a............. .............. ..............",
    ".............. .............. ............cc ...........ccc",
    ".............. .............. ............cc ...........ccc",
)
EMPTY_FRAME = movie("aa.. .... aa..", "aa.. .... aa..")
CROSSING = movie(
    "aaa......... ..aaa....... .....aaa.... .......aaa..",
    "aaa......... ..aaa....... .....aaa.... .......aaa..",
    "............ ............ ............ ............",
    ".........bbb .......bbb.. ....bbb..... ..bbb.......",
    ".........bbb .......bbb.. ....bbb..... ..bbb.......",
)
