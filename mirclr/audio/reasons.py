"""Why a file was left out (`REASONS`) and what is odd about one that was kept (`FLAGS`): code -> sentence.

A reason sends a file to the quarantine table; a flag stays with the track. The codes are stable: scripts read them.
"""

from __future__ import annotations

REASONS: dict[str, str] = {
    "changed": "The file is not the one that was scanned.",
    "missing_file": "The file is not there (any more).",
    "empty_file": "The file has no bytes.",
    "not_audio": "The name promises audio, the content is something else.",
    "unsupported": "An audio format that is recognised and not read; convert it to FLAC, MP3, Ogg, WAV or M4A.",
    "no_audio": "The container is sound, but it holds no audio stream.",
    "permission": "The file may not be read by this user.",
    "not_a_file": "A pipe, socket or device; reading it could wait for ever.",
    "unreadable": "The operating system could not read the file.",
    "folder_unreadable": "The folder may not be listed by this user; whatever it holds was not seen.",
    "symlink_loop": "The link leads back to a folder that was already visited.",
    "broken_link": "The link points at nothing.",
    "zero_length": "A well-formed file with not one sample of audio.",
    "truncated": "The file ends before the audio its header promises.",
    "drm": "The audio is encrypted by its seller.",
    "undecodable": "The decoder gave up, crashed or did not return.",
}

FLAGS: dict[str, str] = {
    "silent": "Nothing rises above -60 dB of full scale.",
    "clipped": "Peaks were cut off flat.",
    "dc_offset": "The waveform does not swing around zero.",
    "short": "Shorter than one training crop.",
    "duplicate": "The same audio as an earlier track.",
}
