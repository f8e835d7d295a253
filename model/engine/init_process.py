"""Process 1 of a container: passes signals on, and takes in processes that have lost their parent.

Source: pid_namespaces(7): the kernel drops signals that process 1 has no handler for, and gives it every orphan, which
stays a zombie until somebody waits for it. So the engine does not run as process 1 but as its child. Left out:
everything else an init does.
"""

import contextlib
import os
import signal
from types import FrameType


def leave_process_one() -> None:
    """In process 1 this returns in a child, and never in the process itself, which ends as the child does."""
    if os.getpid() != 1:
        return
    passed_on = {signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGQUIT}
    before = signal.pthread_sigmask(signal.SIG_BLOCK, passed_on)
    child = os.fork()
    if child == 0:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
        return

    def pass_on(number: int, frame: FrameType | None) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.kill(child, number)

    for number in passed_on:
        signal.signal(number, pass_on)
    signal.pthread_sigmask(signal.SIG_SETMASK, before)
    while True:
        ended, status = os.wait()
        if ended == child:
            code = os.waitstatus_to_exitcode(status)
            os._exit(code if code >= 0 else 128 - code)
