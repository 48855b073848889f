"""Set-up of every test: hypothesis without deadlines, as no test may depend on how fast the machine is."""

from __future__ import annotations

from hypothesis import settings

settings.register_profile("groundup", deadline=None, print_blob=True)
settings.load_profile("groundup")
