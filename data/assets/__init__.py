"""Small files that ship with gphm: the baked head basis and the index lists that go with it."""
