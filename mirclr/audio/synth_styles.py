"""The styles of the procedural band, as data: metre, swing, rhythm patterns, chord progressions and lead rhythms.

Every pattern is one bar (lead cells: two bars) in sixteenths, four characters a beat:

- drums: `1`..`9` a hit of that velocity, `.` none (a pattern shorter than the bar repeats);
- bass: `R` root, `3` third, `5` fifth, `6` sixth, `8` octave, `7` the step below the next root; `-` holds, `.` rests;
- chords: `x` all voices, `1`..`4` one voice counted from the lowest; `-` holds, `.` rests;
- lead: `x` a chord tone, `o` a tone of the scale; `-` holds, `.` rests.

Progressions are scale degrees, one a bar, for a major and for a minor key. What makes a style is all of this together
and never a sound: sounds belong to the artist.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

Drums = Mapping[str, str]
Progressions = tuple[tuple[int, ...], ...]


@dataclass(frozen=True)
class Style:
    """One style.

    `beats` a bar; `phrase` bars a section; `swing` is where the second half of a `swing_beats` long unit starts, 0.5
    (straight) to 0.67 (triplet); `tempo` the usual range in beats per minute; `chords` is `triad`, `seventh` or
    `dominant`. Of `verse`, `chorus`, `bass`, `comp` and `cells` a song picks its own.
    """

    beats: int
    phrase: int
    swing: float
    swing_beats: float
    tempo: tuple[float, float]
    chords: str
    verse: tuple[Drums, ...]
    chorus: tuple[Drums, ...]
    bass: tuple[str, ...]
    comp: tuple[str, ...]
    cells: tuple[str, ...]
    major: Progressions
    minor: Progressions


WALTZ = Style(
    beats=3,
    phrase=8,
    swing=0.5,
    swing_beats=1.0,
    tempo=(90, 180),
    chords="triad",
    verse=(
        {"kick": "8...........", "hat": "....5...5..."},
        {"kick": "8...........", "rim": "....5...5...", "ride": "5...3...3..."},
    ),
    chorus=(
        {"kick": "9...........", "snare": "....6...6...", "ride": "7...5...5.3."},
        {"kick": "9.........5.", "snare": "....6...6...", "hat": "5.4.5.4.5.4."},
    ),
    bass=("R-----------", "R-------5---", "R-------....", "R---........"),
    comp=("....x---x---", "....x-..x-..", "1---3---2---"),
    cells=(
        "x-------x---x---------..",
        "x---o---x---x-------o---",
        "x-----o-x---x---x---....",
        "....x---x---x-------....",
    ),
    major=((1, 1, 5, 5, 5, 5, 1, 1), (1, 6, 2, 5, 1, 4, 5, 1), (1, 4, 1, 5, 6, 2, 5, 1)),
    minor=((1, 1, 4, 4, 5, 5, 1, 1), (1, 6, 4, 5, 1, 6, 5, 1), (1, 7, 3, 6, 4, 5, 1, 1)),
)

ROCK = Style(
    beats=4,
    phrase=4,
    swing=0.5,
    swing_beats=1.0,
    tempo=(105, 160),
    chords="triad",
    verse=(
        {"kick": "9.......8.7.....", "snare": "....9.......9...", "hat": "7.5.7.5.7.5.7.5."},
        {"kick": "9.....7.8.......", "snare": "....9.......9...", "hat": "7.5.7.5.7.5.7.5."},
        {"kick": "9..7....8.7.....", "snare": "....9..3.3..9...", "hat": "7...6...7...6..."},
    ),
    chorus=(
        {"kick": "9.....8.9.7.....", "snare": "....9.......9...", "open": "7...7...7...7..."},
        {"kick": "9.7...7.9.7...7.", "snare": "....9.......9..5", "ride": "8.5.8.5.8.5.8.5."},
    ),
    bass=("R-R-R-R-R-R-R-R-", "R---..R-R---..7-", "R-----R-5---R-7-"),
    comp=("x-x-..x-x-x-..x-", "x-------x-----x-", "x-x-x-x-x-x-x-x-"),
    cells=(
        "x---x-o-x---....x-o-x-------....",
        "..x-x-o-x-----..x-------o-x-....",
        "x-----x---o-x---x-----------....",
        "x-x-o-x-....x---x-o-x-......x---",
    ),
    major=((1, 5, 6, 4), (1, 4, 5, 4), (6, 4, 1, 5), (1, 4, 6, 5)),
    minor=((1, 6, 3, 7), (1, 7, 6, 7), (1, 4, 6, 5), (1, 3, 7, 4)),
)

HOUSE = Style(
    beats=4,
    phrase=4,
    swing=0.54,
    swing_beats=0.5,
    tempo=(118, 130),
    chords="seventh",
    verse=(
        {"kick": "9...9...9...9...", "hat": "..7...7...7...7.", "shaker": "3.23"},
        {"kick": "9...9...9...9...", "clap": "....7.......7...", "hat": "..73..7...73..7."},
    ),
    chorus=(
        {"kick": "9...9...9...9...", "clap": "....8.......8...", "open": "..7...7...7...7.", "shaker": "4243"},
        {"kick": "9...9...9...9..6", "clap": "....8.......8..4", "open": "..7...7...7...7.", "hat": "5.4354.354.3545."},
    ),
    bass=("..R-..R-..R-..8-", "R..R..R-..R..R8-", "..RR..R-..R8..R-"),
    comp=("..x-..x-..x-..x-", "x--x--x---x--x--", "..x...x..x...x.."),
    cells=(
        "x..x..x...x.x...x..x..x-........",
        "x-o-x-..x-o-x-..x-o-x-------....",
        "....x.x.....x.x.....x.x.x-------",
    ),
    major=((1, 6, 4, 5), (4, 5, 6, 6), (1, 3, 4, 4)),
    minor=((1, 1, 6, 7), (1, 4, 7, 3), (1, 6, 1, 7)),
)

BALLAD = Style(
    beats=4,
    phrase=4,
    swing=0.5,
    swing_beats=1.0,
    tempo=(58, 84),
    chords="seventh",
    verse=(
        {"kick": "7...............", "rim": "........6.......", "hat": "4...3...4...3..."},
        {"kick": "7.........5.....", "rim": "........6.......", "shaker": "3.2.3.2.3.2.3.2."},
    ),
    chorus=(
        {"kick": "8.........6.....", "snare": "........8.......", "ride": "6.4.6.4.6.4.6.4."},
        {"kick": "8.....5...6.....", "snare": "........8......3", "hat": "5.4.5.4.5.4.5.4."},
    ),
    bass=("R---------------", "R---------5-----", "R-----------5-7-"),
    comp=("x---------------", "1-2-3-4-3-2-3-2-", "x-------x-------"),
    cells=(
        "x-------o---x---x-----------....",
        "....x---x---o---x---------------",
        "x---o-x---------..x-o-x---------",
    ),
    major=((1, 6, 4, 5), (1, 5, 6, 4), (1, 3, 4, 5), (4, 5, 3, 6)),
    minor=((1, 6, 3, 7), (1, 4, 7, 3), (1, 7, 6, 5)),
)

BOSSA = Style(
    beats=4,
    phrase=4,
    swing=0.52,
    swing_beats=0.5,
    tempo=(66, 100),
    chords="seventh",
    verse=(
        {"kick": "6..56...6..56...", "rim": "7..6..7...7..6..", "shaker": "5243"},
        {"kick": "6..56...6..56...", "rim": "..7...7..7..7...", "hat": "5.3.5.3.5.3.5.3."},
    ),
    chorus=(
        {"kick": "7..57...7..57...", "rim": "8..7..8...8..7..", "ride": "6.4.6.4.6.4.6.4.", "shaker": "5243"},
        {"kick": "7..57...7..57...", "rim": "..8...8..8..8...", "hat": "6454645464546454"},
    ),
    bass=("R--R5---5--5R---", "R-----5-5-----R-", "R--55---5--5R--7"),
    comp=("x-..x-.x..x-..x.", "..x-..x-.x-..x-.", "x--x..x...x--x.."),
    cells=(
        "..x-o-x---x-..o-x-------....x-o-",
        "x-----o-x-..x---x-----....x-o-x-",
        "...x--x--x--x---...x--x--x------",
    ),
    major=((1, 6, 2, 5), (2, 5, 1, 6), (1, 4, 3, 6), (2, 5, 3, 6)),
    minor=((1, 4, 7, 3), (1, 6, 2, 5), (4, 7, 3, 6)),
)

MARCH = Style(
    beats=2,
    phrase=8,
    swing=0.5,
    swing_beats=1.0,
    tempo=(100, 126),
    chords="triad",
    verse=(
        {"kick": "9.......", "snare": "6.555.55"},
        {"kick": "9...7...", "snare": "..6...65"},
    ),
    chorus=(
        {"kick": "9...8...", "snare": "7.666666", "open": "....7..."},
        {"kick": "9...8...", "snare": "7.6.7666", "crash": "6......."},
    ),
    bass=("R---5---", "R-..5-..", "R---3---"),
    comp=("..x-..x-", "..x...x.", "..x...xx"),
    cells=("x---x-oox---x---", "x-.ox-.ox-.ox---", "x---o-x-x-----..", "x-x-x---x-o-x---"),
    major=((1, 1, 5, 5, 5, 5, 1, 1), (1, 4, 1, 5, 1, 4, 5, 1), (4, 4, 1, 1, 5, 5, 1, 1)),
    minor=((1, 1, 5, 5, 1, 4, 5, 1), (1, 4, 5, 1, 6, 4, 5, 1)),
)

REGGAE = Style(
    beats=4,
    phrase=4,
    swing=0.58,
    swing_beats=1.0,
    tempo=(66, 92),
    chords="triad",
    verse=(
        {"kick": "........9.......", "rim": "........8.......", "hat": "6.4.6.4.6.4.6.4."},
        {"kick": "........9.......", "rim": "........7..5....", "hat": "6.436.4.6.436.4."},
    ),
    chorus=(
        {"kick": "9...9...9...9...", "snare": "........8.......", "hat": "7.5.7.5.7.5.7.5."},
        {"kick": "........9.......", "snare": "........8..4..5.", "hat": "7.5.7.5.7.5.7.54"},
    ),
    bass=("R--R..3-5-..R---", "..R-R---..5-3-R-", "R-----R-5-3-...."),
    comp=("..x...x...x...x.", "..xx..x...xx..x.", "..x...xx..x...x."),
    cells=(
        "....x-o-x-------....x-o-x---....",
        "x---..x-o---x-......x---x-------",
        "..x-x---....o-x-..x-x---........",
    ),
    major=((1, 4, 1, 4), (1, 5, 6, 4), (1, 2, 4, 1), (1, 1, 4, 5)),
    minor=((1, 4, 1, 4), (1, 7, 6, 7), (1, 1, 4, 5)),
)

SHUFFLE = Style(
    beats=4,
    phrase=8,
    swing=0.66,
    swing_beats=1.0,
    tempo=(96, 138),
    chords="dominant",
    verse=(
        {"kick": "8.......7.....5.", "snare": "....8.......8...", "ride": "7...6.4.7...6.4."},
        {"kick": "8.......7.......", "snare": "....8.3.....8.3.", "hat": "6.4.6.4.6.4.6.4."},
    ),
    chorus=(
        {"kick": "9...8...9...8...", "snare": "....9.......9...", "ride": "8.5.8.5.8.5.8.5."},
        {"kick": "9.....6.8.......", "snare": "....9.......9.4.", "open": "6...6...6...6..."},
    ),
    bass=("R---3---5---6---", "R---R---5---7---", "R-R-5-5-6-6-5-5-", "R---5---8---7---"),
    comp=("..x...x...x...x.", "x-----x---------", "x-..x-..x-..x-.."),
    cells=(
        "x-o-x-......x-o-x---............",
        "..x-o-x-x-......x-------....x-o-",
        "x---x-o-x-o-....x-----x-........",
    ),
    major=((1, 5, 4, 4, 1, 5, 1, 5), (1, 4, 1, 1, 4, 5, 1, 5)),
    minor=((1, 4, 1, 1, 4, 4, 1, 5), (1, 1, 4, 4, 6, 5, 1, 5)),
)

STYLES: dict[str, Style] = {
    "waltz": WALTZ,
    "rock": ROCK,
    "house": HOUSE,
    "ballad": BALLAD,
    "bossa": BOSSA,
    "march": MARCH,
    "reggae": REGGAE,
    "shuffle": SHUFFLE,
}
