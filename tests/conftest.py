"""What holds for every test: which examples property tests search, and which signals the programs they start hear."""

from __future__ import annotations

import os
import signal

from hypothesis import HealthCheck, settings

# No deadline in either: a machine under load is no defect of what is tested; pytest's own timeout ends what hangs.
UNHURRIED = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow], print_blob=True)
settings.register_profile("steady", UNHURRIED, derandomize=True, database=None)
settings.register_profile("search", UNHURRIED)  # make soak: fresh examples every time
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "steady"))

# A job in the background of a script starts with these ignored, and so would all that it starts: Ctrl-C could not be tested.
for number in (signal.SIGINT, signal.SIGQUIT, signal.SIGHUP):
    if signal.getsignal(number) is signal.SIG_IGN:
        signal.signal(number, signal.default_int_handler if number == signal.SIGINT else signal.SIG_DFL)
