"""The runs that are kept: found again, compared, thinned out and sent elsewhere. Nothing here needs the lab.

All of it reads the folders that runs leave (`reports/<target>/<run id>/`) and nothing else, so that an index can
always be made again, and a folder that is broken, foreign or from a later version is told and never a crash.
"""

import secrets
from datetime import datetime


def new_run_id(at: datetime) -> str:
    """A sortable, unique name: "20260205T093000Z-3f9c"."""
    return f"{at:%Y%m%dT%H%M%SZ}-{secrets.token_hex(2)}"
