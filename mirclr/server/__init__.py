"""A library as a small web app: an API, the map as its page, and sound."""
