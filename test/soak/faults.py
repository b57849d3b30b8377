#!/usr/bin/python3
"""What happens to servers, at random: statements cancelled, backends ended or killed, the server stopped at once or killed.

    faults.py SEED SECONDS      says at the end how often
"""
import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter

import psycopg2

BACKENDS = "SELECT pid FROM pg_stat_activity WHERE backend_type = 'client backend' AND pid <> pg_backend_pid() AND datname = current_database()"
# A server that stays away for longer is a test that has failed.
PATIENCE = 60


def ask(sql):
    connection = psycopg2.connect('')
    try:
        with connection.cursor() as cursor:
            cursor.execute(sql)
            return cursor.fetchall()
    finally:
        connection.close()


def pg_ctl(directory, *arguments):
    log = os.path.join(directory, '..', 'server.log')
    return subprocess.run(['pg_ctl', *arguments, '-s', '-D', directory, '-l', log], check=False, stderr=subprocess.DEVNULL).returncode == 0


def patiently(succeeds):
    until = time.monotonic() + PATIENCE
    while not succeeds():
        if time.monotonic() > until:
            raise TimeoutError('the server does not come back')
        time.sleep(0.05)


class Faults:
    def __init__(self, seed):
        self.random = random.Random(seed)
        (self.directory,), = ask('SHOW data_directory')

    def backend(self):
        return self.random.choice(ask(BACKENDS))[0]

    def cancel(self):
        ask(f'SELECT pg_cancel_backend(pid) FROM ({BACKENDS}) AS b')

    def terminate(self):
        ask(f'SELECT pg_terminate_backend({self.backend()})')

    def kill_backend(self):
        """The server ends all its other backends then, and recovers."""
        os.kill(self.backend(), signal.SIGKILL)

    def stop_server(self):
        patiently(lambda: pg_ctl(self.directory, 'restart', '-m', 'immediate'))

    def kill_server(self):
        """All its processes, the parent first, so that nobody gets to tidy up."""
        with open(os.path.join(self.directory, 'postmaster.pid'), encoding='utf-8') as file:
            postmaster = int(file.readline())
        others = [pid for pid, in ask('SELECT pid FROM pg_stat_activity WHERE pid <> pg_backend_pid()')]
        for pid in (postmaster, *others):
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
        # It won't start while a process of the old one is still about.
        patiently(lambda: pg_ctl(self.directory, 'start'))


def is_up():
    try:
        return ask('SELECT 1') == [(1,)]
    except psycopg2.Error:
        return False


def main():
    seed, seconds = sys.argv[1], float(sys.argv[2])
    faults = Faults(seed)
    kinds = (faults.cancel, faults.terminate, faults.kill_backend, faults.stop_server, faults.kill_server)
    first = list(kinds)         # each has its turn before one comes twice
    faults.random.shuffle(first)
    done = Counter()
    end = time.monotonic() + seconds
    while time.monotonic() < end - 0.5:
        time.sleep(faults.random.random() * 0.4)
        fault = first.pop() if first else faults.random.choices(kinds, (10, 4, 1, 1, 1))[0]
        try:
            fault()
        except (psycopg2.Error, ProcessLookupError, IndexError):
            continue    # it is down already, or gone, or nobody is there
        done[fault.__name__] += 1
    # Whoever reads the rows at the end wants it up.
    patiently(is_up)
    print('# faults: ' + ', '.join(f'{name}: {count}' for name, count in sorted(done.items())))


if __name__ == '__main__':
    main()
