def level() -> str:
    """The highest micro-architecture level that this processor runs: base, v2, v3 or v4."""
