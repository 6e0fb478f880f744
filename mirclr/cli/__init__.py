"""The door: parse, call one function, show what came back."""
