"""django-migration-linter on a project, as a process of its own: `python linter.py PROJECT [APP ..]`.

Django is set up before the clock starts, as imports are for the others. Prints {"seconds", "cpu", "mb", "files"}.
"""

from __future__ import annotations

import contextlib
import io
import json
import os
import re
import resource
import sys
import time


def main() -> None:
    project, *apps = sys.argv[1:]
    sys.path.insert(0, project)
    os.chdir(project)
    os.environ["DJANGO_SETTINGS_MODULE"] = "linted"
    import django
    from django.core.management import call_command

    django.setup()
    out = io.StringIO()
    began, busy = time.perf_counter(), time.process_time()
    with contextlib.redirect_stdout(out), contextlib.suppress(SystemExit):
        call_command("lintmigrations", no_cache=True, include_apps=apps or None)
    spent = {"seconds": time.perf_counter() - began, "cpu": time.process_time() - busy}
    read = re.findall(r"(?:Valid migrations|Erroneous migrations|with warnings): (\d+)/", out.getvalue())
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(json.dumps({**spent, "mb": peak, "files": sum(map(int, read))}))


if __name__ == "__main__":
    main()
