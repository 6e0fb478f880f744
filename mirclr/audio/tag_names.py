"""What a tag is called, whatever the format and the program that wrote it: the names of Picard and most players.

A name is `[a-z0-9_]+`: small letters without accents, everything else one `_`. Where that differs from a known name by
nothing but `_`, it is the known one, so that "Album Artist", ALBUM_ARTIST and ID3's TPE2 are all `albumartist`, and
other names of the same thing are put right ("publisher" is `label`, "key" is `initialkey`).
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping

LONGEST_NAME = 60  # characters; nobody types more

ID3: Mapping[str, str] = {
    "TIT2": "title", "TPE1": "artist", "TALB": "album", "TCON": "genre", "TDRC": "date", "TRCK": "tracknumber",
    "TPOS": "discnumber", "TCOM": "composer", "TPE2": "albumartist", "TPE3": "conductor", "TPE4": "remixer",
    "TEXT": "lyricist", "TMOO": "mood", "TBPM": "bpm", "TKEY": "initialkey", "TPUB": "label", "TLAN": "language",
    "TIT1": "grouping", "GRP1": "grouping", "TIT3": "subtitle", "TSST": "discsubtitle", "TSRC": "isrc",
    "TCMP": "compilation", "TCOP": "copyright", "TENC": "encodedby", "TSSE": "encodersettings", "TMED": "media",
    "TDOR": "originaldate", "TDRL": "releasedate", "TOPE": "originalartist", "TOAL": "originalalbum",
    "TOLY": "originallyricist", "TOFN": "originalfilename", "TSOA": "albumsort", "TSOP": "artistsort",
    "TSOT": "titlesort", "TSO2": "albumartistsort", "TSOC": "composersort", "TCAT": "category", "TKWD": "keywords",
    "TDES": "description", "MVNM": "movement", "MVIN": "movementnumber",
}  # fmt: skip
MP4: Mapping[str, str] = {
    "\xa9nam": "title", "\xa9ART": "artist", "\xa9alb": "album", "\xa9gen": "genre", "\xa9day": "date",
    "trkn": "tracknumber", "disk": "discnumber", "\xa9wrt": "composer", "aART": "albumartist", "\xa9con": "conductor",
    "tmpo": "bpm", "\xa9grp": "grouping", "\xa9cmt": "comment", "cpil": "compilation", "cprt": "copyright",
    "\xa9too": "encodedby", "soal": "albumsort", "soar": "artistsort", "sonm": "titlesort", "soaa": "albumartistsort",
    "soco": "composersort", "catg": "category", "keyw": "keywords", "desc": "description", "tvsh": "show",
    "sosn": "showsort", "\xa9wrk": "work", "\xa9mvn": "movement", "\xa9mvi": "movementnumber",
    "\xa9mvc": "movementtotal", "rtng": "advisory", "\xa9lyr": "lyrics",
}  # fmt: skip
ASF: Mapping[str, str] = {
    "Author": "artist", "Description": "comment", "WM/AlbumTitle": "album", "WM/Year": "date",
    "WM/PartOfSet": "discnumber", "WM/Writer": "lyricist", "WM/ModifiedBy": "remixer",
    "WM/ContentGroupDescription": "grouping", "WM/IsCompilation": "compilation", "WM/SharedUserRating": "rating",
    "WM/SetSubTitle": "discsubtitle", "WM/EncodingSettings": "encodersettings", "WM/AlbumSortOrder": "albumsort",
    "WM/ArtistSortOrder": "artistsort", "WM/TitleSortOrder": "titlesort", "WM/ComposerSortOrder": "composersort",
    "WM/AlbumArtistSortOrder": "albumartistsort", "WM/CatalogNo": "catalognumber",
    "WM/OriginalReleaseTime": "originaldate",
}  # fmt: skip
# ID3's list of who did what, by the role it names.
ROLES: Mapping[str, str] = {"mix": "mixer", "djmix": "djmixer"}

_FURTHER = """
    acoustid_id arranger asin barcode catalognumber djmixer engineer mixer performer producer rating releasecountry
    releasestatus releasetype script website work writer replaygain_album_gain replaygain_album_peak
    replaygain_track_gain replaygain_track_peak musicbrainz_albumid musicbrainz_albumartistid musicbrainz_artistid
    musicbrainz_discid musicbrainz_recordingid musicbrainz_releasegroupid musicbrainz_releasetrackid
    musicbrainz_trackid musicbrainz_workid
"""
KNOWN = frozenset((*ID3.values(), *MP4.values(), *ASF.values(), *_FURTHER.split()))
_OTHERWISE: Mapping[str, str] = {
    "publisher": "label", "organization": "label", "key": "initialkey", "beatsperminute": "bpm", "year": "date",
    "track": "tracknumber", "disc": "discnumber", "mixartist": "remixer", "contentgroup": "grouping",
    "contentgroupdescription": "grouping",
    "itunescompilation": "compilation", "catalog": "catalognumber", "musicbrainzalbumstatus": "releasestatus",
    "musicbrainzalbumtype": "releasetype", "musicbrainzalbumreleasecountry": "releasecountry",
}  # fmt: skip
_OF_LETTERS: Mapping[str, str] = {**{name.replace("_", ""): name for name in KNOWN}, **_OTHERWISE}
# Texts to read or to draw and no tags to sort by, by their letters.
_NO_TAGS = frozenset(
    ("lyrics", "unsyncedlyrics", "syncedlyrics", "lyricssynchronised", "metadatablockpicture", "coverart", "picture",
     "coverartmime", "cuesheet")
)  # fmt: skip


def tag_name(text: str) -> str:
    """The name of a tag that a file, or a person, calls `text`; "" for what is not kept: lyrics, pictures, names
    without a Latin letter or digit, and names of more than `LONGEST_NAME` characters."""
    apart = unicodedata.normalize("NFKD", text[: 4 * LONGEST_NAME].casefold())
    plain = "".join(letter for letter in apart if not unicodedata.combining(letter))
    name = re.sub("[^a-z0-9]+", "_", plain).strip("_")
    letters = name.replace("_", "")
    if letters in _NO_TAGS or len(name) > LONGEST_NAME:
        return ""
    return _OF_LETTERS.get(letters, name)
