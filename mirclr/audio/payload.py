"""The encoded sound of a file, without the tags around it: the same digest before and after a change of tags."""

from __future__ import annotations

import os
import struct
from hashlib import blake2b
from pathlib import Path
from typing import Any

import av

from mirclr.audio.ffmpeg_reader import DEMUXERS
from mirclr.errors import AudioError


def payload_digest(path: str | Path, container: str) -> str:
    """32 hex digits of every packet of the first audio stream, undecoded as the container hands them over (bytes,
    length and time), and of the codec's own setup. Artwork, comments and padding are not part of it. `container` as
    `sniff` names it.

    Raises AudioError (undecodable) when the file cannot be taken apart.
    """
    digest = blake2b(digest_size=16)
    try:
        # An absolute name cannot be read as a protocol, and a known demuxer opens no other files.
        with av.open(os.path.abspath(path), format=DEMUXERS[container], metadata_errors="replace") as file:
            stream = file.streams.audio[0]
            context = stream.codec_context
            told = f"{context.codec.name} {context.sample_rate} {context.channels}"
            digest.update(told.encode() + _setup(context))
            for packet in file.demux(stream):
                content = bytes(packet)
                digest.update(struct.pack("<qq", len(content), -1 if packet.pts is None else packet.pts) + content)
    except (av.FFmpegError, IndexError, ValueError) as error:
        raise AudioError(path, "undecodable", f"its packets cannot be read: {error}") from error
    return digest.hexdigest()


def _setup(context: Any) -> bytes:
    """What the codec needs before the first packet. Vorbis keeps its comments there, in the second of three headers."""
    extra = bytes(context.extradata or b"")
    if context.codec.name != "vorbis" or not extra.startswith(b"\x02"):
        return extra
    sizes, at = [], 1
    for _ in range(2):  # Xiph lacing: bytes of 255 and one smaller add up to a size
        size = 0
        while extra[at] == 255:
            size, at = size + 255, at + 1
        sizes.append(size + extra[at])
        at += 1
    return extra[at : at + sizes[0]] + extra[at + sum(sizes) :]
