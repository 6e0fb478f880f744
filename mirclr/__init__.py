"""mirclr: contrastive learning on your own music, judged honestly, turned into playlists."""

__version__ = "0.1.0"
