"""Work that survives `kill -9`: loops that go on where they stopped, effects that happen once, what ran before."""
