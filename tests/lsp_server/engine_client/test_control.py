"""What the command line does with an engine."""

import stat
import subprocess
import sys

from lsp_server.engine_client import control


def test_status_start_restart_stop(place, pids):
    assert control.status().health is None
    assert control.stop() is False
    started = control.start()
    assert started.health is not None
    assert started.health.status == "ready"
    assert started.model == place.model
    assert control.start().health is not None
    assert len(pids()) == 1
    restarted = control.restart()
    assert restarted.health is not None
    assert pids() == [started.health.pid, restarted.health.pid]
    assert control.stop() is True
    assert control.status().health is None
    assert not place.socket.exists()
    assert control.log_path() == place.log
    assert stat.S_IMODE(place.log.stat().st_mode) == 0o600
    assert stat.S_IMODE(place.stderr.stat().st_mode) == 0o600


def test_serving_in_the_foreground_returns_the_exit_status(place, pids):
    code = "import sys; from lsp_server.engine_client.control import serve; sys.exit(serve(idle_s=0.2))"
    done = subprocess.run([sys.executable, "-P", "-c", code], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    assert len(pids()) == 1
