"""A collection indexed by one encoder: the store, exact search, playlists and their files."""
