"""Serves ClickHouse over HTTP out of the `chdb-core` wheel, for tests, in the foreground until SIGTERM or SIGINT.

The wheel is a whole clickhouse-local, whose SYSTEM START LISTEN opens ClickHouse's own HTTP port. It takes its configuration
from config.xml in the working folder, and serves for as long as a statement runs: here one that reads a pipe nobody writes to
before the end. This is a private way into the wheel, so the wheel's version is pinned, and who starts this asks the port.

Tables that the engine keeps about itself (query_log and its like) exist only where the configuration names them: none here.
"""

import argparse
import hashlib
import importlib.machinery
import importlib.util
import os
import pathlib
import queue
import signal
import sys
import threading
from xml.sax.saxutils import escape

# How long the engine may take to finish what it is doing once it is told to end.
STOP_SECONDS = 15

STOP_SIGNALS = (signal.SIGTERM, signal.SIGINT)

CONFIG = """<clickhouse>
  <listen_host>127.0.0.1</listen_host>
  <http_port>{port}</http_port>
  <users_config>users.xml</users_config>
  <max_server_memory_usage>{memory}</max_server_memory_usage>
  <background_pool_size>{pool}</background_pool_size>
  <send_crash_reports><enabled>0</enabled></send_crash_reports>
</clickhouse>
"""

# The engine's own statements run as `default`, which therefore must be there. It may do what they do and no more, so that a
# client that forgets its user finds that out.
USERS = """<clickhouse>
  <profiles><default/></profiles>
  <quotas><default/></quotas>
  <users>
    <default>
      <no_password/>
      <networks><ip>127.0.0.1</ip></networks>
      <profile>default</profile>
      <quota>default</quota>
      <grants>
        <query>GRANT CREATE DATABASE ON {database}.*</query>
        <query>GRANT SYSTEM LISTEN, CREATE TEMPORARY TABLE, READ ON *.*</query>
      </grants>
    </default>
    <{user}>
      <password_sha256_hex>{password}</password_sha256_hex>
      <networks><ip>127.0.0.1</ip></networks>
      <profile>default</profile>
      <quota>default</quota>
      <access_management>1</access_management>
    </{user}>
  </users>
</clickhouse>
"""


def arguments():
    parser = argparse.ArgumentParser(description="ClickHouse over HTTP for tests")
    parser.add_argument("--wheel", type=pathlib.Path, required=True, help="the folder chdb-core is installed in")
    parser.add_argument("--home", type=pathlib.Path, required=True, help="an own folder; the data is in `data` below it")
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--user", required=True)
    parser.add_argument("--password-file", type=pathlib.Path, required=True)
    parser.add_argument("--database", required=True, help="made if it is not there")
    parser.add_argument("--memory", type=int, required=True, help="the most the server takes, bytes")
    parser.add_argument("--pool", type=int, required=True, help="threads for merges")
    return parser.parse_args()


def engine(wheel):
    """The compiled module alone: the package around it opens a database of its own when it is imported."""
    loader = importlib.machinery.ExtensionFileLoader("_chdb", str(wheel / "chdb" / "_chdb.abi3.so"))
    module = importlib.util.module_from_spec(importlib.util.spec_from_loader("_chdb", loader))
    loader.exec_module(module)
    # Signals are ours: a clean end is asked for below.
    module.set_signal_handlers_enabled(0)
    return module


def private(path, text):
    """Writes a file that only its owner reads."""
    path.unlink(missing_ok=True)
    with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(text)


def configure(wanted):
    password = wanted.password_file.read_text().strip()
    digest = hashlib.sha256(password.encode()).hexdigest()
    config = CONFIG.format(port=wanted.port, memory=wanted.memory, pool=wanted.pool)
    private(wanted.home / "config.xml", config)
    private(wanted.home / "users.xml", USERS.format(user=escape(wanted.user), database=escape(wanted.database), password=digest))


def main():
    wanted = arguments()
    wanted.home.mkdir(parents=True, exist_ok=True)
    configure(wanted)
    pipe = wanted.home / "stop.fifo"
    pipe.unlink(missing_ok=True)
    os.mkfifo(pipe, 0o600)
    os.chdir(wanted.home)

    # What ends this: a signal, or the engine by itself; whichever comes first.
    events = queue.SimpleQueue()

    def stop(*_):
        for number in STOP_SIGNALS:
            signal.signal(number, signal.SIG_IGN)  # once is enough: a second one must not cut the end short
        events.put("stop")

    for number in STOP_SIGNALS:
        signal.signal(number, stop)
    statements = (
        "CREATE DATABASE IF NOT EXISTS {};"
        "SYSTEM START LISTEN HTTP;"
        "SELECT count() FROM file('{}', 'LineAsString', 'line String') FORMAT Null"
    ).format(wanted.database, pipe)
    module = engine(wanted.wheel)

    def serve():
        try:
            result = module.query(statements, "TabSeparated", path=str(wanted.home / "data"))
            events.put(result.error_message() if result.has_error() else "")
        except BaseException as error:  # whatever it is, the process must not stay on without a server
            events.put(str(error) or repr(error))

    threading.Thread(target=serve, daemon=True).start()
    said = events.get()
    if said == "stop":
        try:
            with open(os.open(pipe, os.O_WRONLY | os.O_NONBLOCK), "w") as end:
                end.write("end\n")
            said = events.get(timeout=STOP_SECONDS)
        except (OSError, queue.Empty) as error:  # the engine does not read yet, or does not end
            said = "ended the hard way: {!r}".format(error)
    if said:
        print("clickhouse:", said, file=sys.stderr, flush=True)
    # Past Python's own ending, which would wait for threads of the engine.
    os._exit(1 if said else 0)


main()
