"""What the tests of the examples have in common: a database, and clients that act at the same time.

The database is made on the server that PGHOST, PGPORT and PGUSER name, and dropped at the end.  A test starts with the
tables of its example's schema.sql, guarded; OCC_EXAMPLES_GUARD=off disables the guards, and the tests must fail then.
"""
import atexit
import multiprocessing
import os
import subprocess
import sys
import threading
import time
import unittest
from pathlib import Path

from django.db import connection, connections

from django_project import configure

EXAMPLE = Path(sys.argv[0]).resolve().parent
DATABASE = f'example_{EXAMPLE.name}_{os.getpid()}'


def psql(*arguments, database=DATABASE):
    subprocess.run(['psql', '-Xq', '-v', 'ON_ERROR_STOP=1', '-d', database, *arguments],
                   check=True, stdout=subprocess.DEVNULL, env={**os.environ, 'PGOPTIONS': '-c client_min_messages=error'})


def drop_database(owner=os.getpid()):
    if os.getpid() == owner:
        connections.close_all()
        psql('-c', f'DROP DATABASE "{DATABASE}" WITH (FORCE)', database='postgres')


psql('-c', f'CREATE DATABASE "{DATABASE}"', database='postgres')
atexit.register(drop_database)
psql('-c', 'CREATE EXTENSION occ_lock')
os.environ['PGDATABASE'] = DATABASE      # also for programs that a test starts
configure()


def sql(statement, *parameters):
    """Run a statement; the rows that it returns, if it is one that does."""
    with connection.cursor() as cursor:
        cursor.execute(statement, parameters or None)
        return cursor.fetchall() if cursor.description else None


def until_somebody_waits():
    """Return when another session waits for a lock that this one holds."""
    deadline = time.monotonic() + 60
    while not sql('SELECT pid FROM pg_locks WHERE NOT granted AND pg_backend_pid() = ANY (pg_blocking_pids(pid))'):
        if time.monotonic() > deadline:
            raise TimeoutError('nobody waits for this session')
        time.sleep(0.005)


class ExampleTest(unittest.TestCase):
    def setUp(self):
        sql('DROP SCHEMA public CASCADE; CREATE SCHEMA public')
        psql('-f', str(EXAMPLE / 'schema.sql'))
        if os.environ.get('OCC_EXAMPLES_GUARD') == 'off':
            self.disable_guards()

    def disable_guards(self):
        """What the tables are without occ_lock.  Their version columns stay."""
        for table, in sql('SELECT table_name::text FROM occ.tables'):
            sql(f'ALTER TABLE {table} DISABLE TRIGGER _occ_guard')


def outcome(function, *arguments):
    """What a function returns, or the exception that it raises."""
    try:
        return function(*arguments)
    except Exception as error:
        return error
    finally:
        connections.close_all()


def in_threads(count, function):
    """The outcomes of function(0), function(1), ..., each in a thread with a connection of its own."""
    outcomes = [None] * count

    def run(i):
        outcomes[i] = outcome(function, i)

    threads = [threading.Thread(target=run, args=(i,)) for i in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return outcomes


def elsewhere(function, *arguments):
    """The outcome of a function in another session."""
    return in_threads(1, lambda i: function(*arguments))[0]


def in_processes(count, function):
    """The same in processes.  What is returned or raised must be something that pickle knows."""
    connections.close_all()      # a child must not use its parent's
    context = multiprocessing.get_context('fork')
    queue = context.Queue()
    processes = [context.Process(target=lambda i=i: queue.put((i, outcome(function, i)))) for i in range(count)]
    for process in processes:
        process.start()
    outcomes = dict(queue.get(timeout=60) for _ in processes)
    for process in processes:
        process.join()
    return [outcomes[i] for i in range(count)]


def process_barrier(count):
    """A barrier for in_processes(); threading.Barrier is the one for in_threads()."""
    return multiprocessing.get_context('fork').Barrier(count, timeout=60)
