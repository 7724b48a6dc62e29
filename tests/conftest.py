"""How property tests search: the same examples every time, or fresh ones when asked (make soak)."""

from __future__ import annotations

import os

from hypothesis import HealthCheck, settings

# No deadline in either: a machine under load is no defect of what is tested; pytest's own timeout ends what hangs.
UNHURRIED = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow], print_blob=True)
settings.register_profile("steady", UNHURRIED, derandomize=True, database=None)
settings.register_profile("search", UNHURRIED)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "steady"))
