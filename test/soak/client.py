#!/usr/bin/python3
"""One of the soak's clients: reads rows, and writes them back by every means there is, now and then on what it read long ago.

    client.py NUMBER SEED SECONDS LOG LEVELS VERSIONS PRESET KEY [faults]

Knows nothing of right and wrong: the log says what it read, wrote and was told, one transaction a line, for check.py.
Times are CLOCK_MONOTONIC's, which all processes of a machine share.
"""
import json
import random
import sys
import time

import psycopg2
from operations import MAKE_AGAIN, OPERATIONS, STRICT_OPERATIONS, ZONE, Rows, call_retry
from versions import KINDS

# One more than there are rows at the beginning, so that one can move.
IDS = range(1, 10)
# The server is not there (yet, or any more).  After one of these nobody knows what became of a COMMIT.
LOST = ('08', '57P')
# A server that stays away for longer is a test that has failed.
PATIENCE = 60


def is_lost(error):
    return not error.pgcode or error.pgcode.startswith(LOST)


class Client:
    def __init__(self, number, seed, log, levels, kind, preset, key, faults):
        self.random = random.Random(f'{seed}/{number}')
        self.number, self.log, self.levels, self.faults = number, log, levels, faults
        self.versions = KINDS[kind]
        self.strict = strict = preset == 'strict'
        self.has_zone = 'zone' in key
        self.operations = [o for o in (STRICT_OPERATIONS if strict else OPERATIONS) if self.versions.can_be_made_again or o not in MAKE_AGAIN]
        self.ids = IDS
        self.tokens = 0
        self.connection = None
        self.known = {}     # the rows as they were read, or written and acknowledged

    def token(self):
        self.tokens += 1
        return f'{self.number}.{self.tokens}'

    def fresh_version(self):
        return self.versions.fresh(self.random)

    def key(self, id):
        """As JSON has it."""
        return {**ZONE, 'id': id} if self.has_zone else {'id': id}

    def connect(self):
        until = time.monotonic() + PATIENCE
        while True:
            try:
                self.connection = psycopg2.connect('')
                return
            except psycopg2.OperationalError:
                if not self.faults or time.monotonic() > until:
                    raise
                time.sleep(0.05)    # it is being started again

    def begin_again(self, error):
        if not is_lost(error) and not self.connection.closed:
            try:
                self.connection.rollback()
                return
            except psycopg2.Error:
                if not self.faults:
                    raise
        self.connection.close()
        self.connect()

    def read(self):
        """All rows, mostly; else go on with what is known.  Returns what goes into the log."""
        if self.known and self.random.random() < 0.3:
            return None
        start = time.monotonic()
        with self.connection.cursor() as cursor:
            cursor.execute('SET TRANSACTION ISOLATION LEVEL READ COMMITTED; SELECT id, incarnation, version, tokens FROM item')
            rows = cursor.fetchall()
        end = time.monotonic()
        self.connection.rollback()
        self.known = {row[0]: row[1:] for row in rows}
        return {'from': start, 'to': end, 'rows': [(*row[:3], len(row[3]), row[3][-1] if row[3] else None) for row in rows]}

    def entry(self, level):
        """What is logged of a transaction that begins now."""
        return {'client': self.number, 'faults': self.faults, 'start': time.monotonic(), 'level': level,
                'writes': [], 'answers': [], 'refusals': [], 'absent': [], 'outcome': 'aborted'}

    def transaction(self):
        """One transaction, as it is logged."""
        if not self.faults and self.random.random() < 0.05:
            return self.retry_alone()
        entry = self.entry(None)
        cursor = self.connection.cursor()
        rows = Rows(dict(self.known), entry)
        committing = False
        try:
            entry['level'] = self.random.choice(self.levels)
            cursor.execute(f"SET TRANSACTION ISOLATION LEVEL {entry['level']}")
            if self.faults:
                cursor.execute(f"SET LOCAL statement_timeout = {self.random.choice((0, 5, 20, 100))};"
                               f"SET LOCAL lock_timeout = {self.random.choice((0, 1, 10))}")
            for _ in range(self.random.choice((1, 1, 1, 2, 3))):
                self.step(cursor, rows, entry)
            if self.random.random() < 0.1:
                self.connection.rollback()
                return entry
            rows.operation = 'commit'
            rows.states([], self)
            committing = True
            self.connection.commit()
            entry['outcome'] = 'committed'
            self.known = rows.known
        except psycopg2.Error as error:
            entry['error'], entry['message'] = error.pgcode, str(error)
            rows.refused(error)
            if committing and is_lost(error):
                entry['outcome'] = 'unknown'
            self.known = {}
            self.begin_again(error)
        finally:
            entry['end'] = time.monotonic()
        return entry

    def retry_alone(self):
        """occ.retry() on its own, so that each attempt is a transaction.  Nobody would know what became of one that is interrupted."""
        entry = self.entry(self.levels[0])
        rows = Rows({}, entry)
        rows.operation = 'retry_alone'
        self.connection.autocommit = True
        try:
            call_retry(self.connection.cursor(), rows, self, self.random.choice(self.ids))
            entry['outcome'] = 'committed'
        except psycopg2.Error as error:
            entry['error'], entry['message'] = error.pgcode, str(error)
            rows.refused(error)
        finally:
            entry['end'] = time.monotonic()
        self.connection.autocommit = False
        return entry

    def step(self, cursor, rows, entry):
        """One operation; every fourth in a savepoint, which some of the time is rolled back."""
        operation = self.random.choice(self.operations)
        rows.operation = operation.__name__
        ids = sorted(self.random.sample(self.ids, self.random.choice((1, 2, 4))))
        if self.random.random() >= 0.25:
            operation(cursor, rows, self, ids)
            return
        before = len(entry['writes']), dict(rows.known)
        cursor.execute('SAVEPOINT s')
        try:
            operation(cursor, rows, self, ids)
            undo = self.random.random() < 0.5
        except psycopg2.Error as error:
            if is_lost(error) or self.connection.closed:
                raise
            rows.refused(error)
            undo = True
        if undo:
            cursor.execute('ROLLBACK TO s')
            del entry['writes'][before[0]:]
            rows.known = before[1]
        cursor.execute('RELEASE s')

    def run(self, seconds):
        self.connect()
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            try:
                read = self.read()
            except psycopg2.Error as error:
                if not self.faults:
                    raise
                self.begin_again(error)
                continue
            self.log.write(json.dumps({**self.transaction(), 'read': read}) + '\n')
            self.log.flush()


def main():
    number, seed, seconds, path, levels, kind, preset, key, *faults = sys.argv[1:]
    psycopg2.extensions.register_type(psycopg2.extensions.new_type((2950,), 'UUID', lambda value, _: value))
    # As JSON has it.
    psycopg2.extensions.register_type(psycopg2.extensions.new_type(
        (1114, 1184), 'TIME', lambda value, _: value and value.replace(' ', 'T').replace('+00', '+00:00')))
    with open(path, 'w', encoding='utf-8') as log:
        Client(number, seed, log, levels.split(','), kind, preset, key, bool(faults)).run(float(seconds))


if __name__ == '__main__':
    main()
