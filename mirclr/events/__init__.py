"""Events in time: truth on a grid, activations to events, and measures of events against events."""
