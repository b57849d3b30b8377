#!/usr/bin/python3
"""What happens to servers, at random: statements cancelled, backends ended or killed, the server stopped at once and started.

    faults.py SEED SECONDS
"""
import os
import random
import signal
import subprocess
import sys
import time

import psycopg2

BACKENDS = "SELECT pid FROM pg_stat_activity WHERE backend_type = 'client backend' AND pid <> pg_backend_pid() AND datname = current_database()"


def ask(sql):
    connection = psycopg2.connect('')
    try:
        with connection.cursor() as cursor:
            cursor.execute(sql)
            return cursor.fetchall()
    finally:
        connection.close()


def cancel(_):
    ask(f'SELECT pg_cancel_backend(pid) FROM ({BACKENDS}) AS b')


def terminate(choose):
    for pid, in choose(ask(BACKENDS)):
        ask(f'SELECT pg_terminate_backend({pid})')


def kill(choose):
    """The server ends all its backends then, and recovers."""
    for pid, in choose(ask(BACKENDS)):
        os.kill(pid, signal.SIGKILL)


def restart(_):
    (directory,), = ask('SHOW data_directory')
    log = os.path.join(directory, '..', 'server.log')
    subprocess.run(['pg_ctl', 'restart', '-s', '-m', 'immediate', '-D', directory, '-l', log], check=True)


def main():
    seed, seconds = sys.argv[1], float(sys.argv[2])
    source = random.Random(seed)
    done = {}

    def choose(rows):
        return source.sample(rows, min(1, len(rows)))

    end = time.monotonic() + seconds
    while time.monotonic() < end - 0.5:
        time.sleep(source.random() * 0.4)
        fault = source.choices((cancel, terminate, kill, restart), (10, 4, 1, 1))[0]
        try:
            fault(choose)
        except (psycopg2.Error, ProcessLookupError):
            continue    # it is down already, or gone
        done[fault.__name__] = done.get(fault.__name__, 0) + 1
    # Whoever reads the rows at the end wants it up.
    while True:
        try:
            ask('SELECT 1')
            break
        except psycopg2.Error:
            time.sleep(0.05)
    print(f'# faults: {done}', file=sys.stderr)


if __name__ == '__main__':
    main()
