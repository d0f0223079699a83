"""Many runs on one machine: so many at a time, each in a process of its own, its kernel forked from one template.

Where this system, or this process (it has threads), cannot fork, the runs are made here, one after the other; so are
runs without a template.
"""

from __future__ import annotations

import gc
import multiprocessing
import signal
from collections.abc import Iterator, Sequence
from multiprocessing.connection import Connection, wait
from multiprocessing.context import ForkProcess
from pathlib import Path

from rcakit.errors import RcaError
from rcakit.report.cancelling import cancellable
from rcakit.report.fork_template import threads
from rcakit.report.forks import Template
from rcakit.report.runs import Job, Run, list_runs, perform, warm

Ended = tuple[Job, Run | RcaError]
"""A run as `runs.execute` returns it, or what that raises."""


def execute(jobs: Sequence[Job], out: Path, *, at_once: int = 1) -> Iterator[Ended]:
    """Make these runs, and give each when it has ended; the index is renewed when all have.

    Ctrl-C, SIGTERM and SIGHUP cancel what is under way, which leaves its reports, and nothing more is begun. Nothing
    outlives this process, however it ends.
    """
    try:
        template = jobs[0].options.template
        warm()
        if template is None or threads() > 1:
            yield from _in_turn(jobs, out)
        else:
            gc.freeze()  # a collection would copy every page that is shared
            yield from _Crew(out, template, at_once).work(jobs)
    finally:
        gc.unfreeze()
        list_runs(out, jobs[0].options.say)


def _in_turn(jobs: Sequence[Job], out: Path) -> Iterator[Ended]:
    for job in jobs:
        made = _made(job, out)
        yield job, made
        if isinstance(made, Run) and made.status == "cancelled":
            return


def _made(job: Job, out: Path) -> Run | RcaError:
    try:
        return perform(job, out)
    except RcaError as error:
        return error


class _Crew:
    """Processes at work, by the pipe on which each will hand over what it made."""

    def __init__(self, out: Path, template: Template, size: int) -> None:
        self._out = out
        self._template = template
        self._size = size
        self._busy: dict[Connection, tuple[Job, ForkProcess]] = {}
        self._done: list[ForkProcess] = []
        """They have handed over what they made: their own end need not be waited for by the next."""

    def work(self, jobs: Sequence[Job]) -> Iterator[Ended]:
        waiting = list(reversed(jobs))
        with cancellable():
            try:
                while waiting or self._busy:
                    while waiting and len(self._busy) < self._size:
                        self._begin(waiting.pop())
                    for pipe in wait(list(self._busy)):
                        yield self._end(pipe)  # type: ignore[arg-type]
            finally:
                for _, process in self._busy.values():
                    process.terminate()
                for process in (*self._done, *(process for _, process in self._busy.values())):
                    process.join()

    def _begin(self, job: Job) -> None:
        ours, theirs = multiprocessing.Pipe(duplex=False)
        process = multiprocessing.get_context("fork").Process(target=self._run, args=(job, theirs))
        process.start()
        theirs.close()
        self._busy[ours] = job, process

    def _run(self, job: Job, pipe: Connection) -> None:
        """In the process of a run. Ctrl-C reaches all processes of a terminal; who cancels a run is the one that began it."""
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        self._template.share()
        try:
            pipe.send(_made(job, self._out))
        except KeyboardInterrupt:  # before the notebook began, or after it ended
            return

    def _end(self, pipe: Connection) -> Ended:
        job, process = self._busy.pop(pipe)
        try:
            made: Run | RcaError = pipe.recv()
        except EOFError:
            process.join()
            made = RcaError(
                f"the process of a run of {job.options.target} ended: {_status(process.exitcode)}",
                hint="its traceback is above; what it had written is in no report",
            )
        pipe.close()
        self._done.append(process)
        return job, made


def _status(code: int | None) -> str:
    return f"signal {-code}" if code is not None and code < 0 else f"exit status {code}"
