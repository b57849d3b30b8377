"""Runs a case in one database: several sessions, of which some wait for others, without a sleep or a timeout.

The script goes on when every session has answered or waits for a lock: pg_locks shows all waits of one moment, and if nobody
is at work then, nobody can end them but the script. Steps of a session that waits are left out. Two sessions that one step
would wake go on side by side, and what comes of that is chance, so one of them is cancelled before. So what is done depends
on nothing but the script and on who waits for whom, and that is part of what is compared.
"""
import select
import time

import psycopg2
import psycopg2.extensions as pg

# Rows as text, whatever their types.
pg.string_types.clear()

# Who waits, for whom, and whether for the end of a transaction; not if it is that of a subtransaction, which can end sooner.
WAITS = '''SELECT l.pid, pg_blocking_pids(l.pid),
    l.locktype = 'transactionid' AND NOT EXISTS (SELECT FROM pg_locks AS of JOIN pg_locks AS older USING (pid, locktype)
        WHERE of.granted AND of.transactionid = l.transactionid AND older.granted AND age(older.transactionid) > age(of.transactionid))
FROM pg_locks AS l WHERE NOT l.granted AND l.pid = ANY (%s)'''
FIELDS = ('message_detail', 'message_hint', 'schema_name', 'table_name', 'column_name', 'constraint_name')


class Broken(Exception):
    """The server did not behave as servers do, as when a backend crashes."""


class Session:
    def __init__(self, database, options):
        self.connection = psycopg2.connect(dbname=database, options=options, async_=True)
        self.wait()
        self.pid = self.connection.info.backend_pid
        self.cursor = self.connection.cursor()
        self.busy = self.waited = False

    def ready(self):
        """Whether what was sent has been answered."""
        return self.connection.poll() == pg.POLL_OK

    def wait(self):
        while (state := self.connection.poll()) != pg.POLL_OK:
            reading, writing = ([self.connection], []) if state == pg.POLL_READ else ([], [self.connection])
            select.select(reading, writing, [])

    def send(self, sql):
        del self.connection.notices[:]
        self.sql = sql
        self.waited = False
        self.busy = True
        self.cursor.execute(sql)

    def run(self, sql):
        """A statement that nobody else is told of; its rows, or None if it fails."""
        try:
            self.cursor.execute(sql)
            self.wait()
            return self.cursor.fetchall() if self.cursor.description else []
        except psycopg2.Error:
            return None

    def outcome(self):
        """What became of the statement, if it has ended."""
        try:
            if not self.ready():
                return None
            self.busy = False
            result = {'tag': self.cursor.statusmessage,
                      'rows': self.cursor.fetchall() if self.cursor.description else None}
        except psycopg2.Error as error:
            self.busy = False
            if error.pgcode is None or self.connection.closed:
                raise Broken(str(error)) from error
            result = {'sqlstate': error.pgcode, 'message': error.diag.message_primary,
                      'fields': {name: getattr(error.diag, name) for name in FIELDS}}
        result['notices'] = [notice.replace('\r', '') for notice in self.connection.notices]
        result['waited'], result['sql'] = self.waited, self.sql
        return result

    def in_transaction(self):
        return self.connection.info.transaction_status != pg.TRANSACTION_STATUS_IDLE

    def close(self):
        self.connection.close()


class Database:
    """One of the variants; runs cases one after the other."""

    def __init__(self, name, options='', reset=()):
        self.name = name
        self.reset = reset  # undoes what a case may have done beyond its tables
        self.options = options
        self.admin = psycopg2.connect(dbname=name)
        self.admin.autocommit = True

    def ask(self, sql, parameters=None):
        with self.admin.cursor() as cursor:
            cursor.execute(sql, parameters)
            return cursor.fetchall() if cursor.description else []

    def run(self, case):
        """What happened, as a list of (step, event, ...)."""
        self.ask('SET client_min_messages = error; SET lock_timeout = 0; SET search_path = fuzz, public')
        self.ask('; '.join(('DROP SCHEMA IF EXISTS fuzz CASCADE', 'CREATE SCHEMA fuzz', *self.reset, *case.setup)))
        # Who has locked a whole table would keep us from looking.
        self.ask("SET lock_timeout = '5ms'")
        options = f'-c search_path=fuzz,public -c deadlock_timeout=1h {self.options}'
        if case.preload:
            options += ' -c session_preload_libraries=occ_lock' if self.name != 'fuzz_model' else ''
        self.sessions = [Session(self.name, options) for _ in range(case.sessions)]
        self.events = []
        try:
            for self.step, (number, sql) in enumerate(case.steps):
                self.take(case, number, sql)
            self.step = 'end'
            self.end(case)
        finally:
            for session in self.sessions:
                session.close()
        return self.events

    def take(self, case, number, sql):
        session = self.sessions[number]
        others_at_work = any(s.in_transaction() for s in self.sessions if s is not session)
        if session.busy:
            self.events.append((self.step, number, 'waits, left out'))
        elif case.is_ddl(sql) and others_at_work:
            self.events.append((self.step, number, 'others at work, left out'))
        else:
            # Most scripts would end at their first error in a transaction.
            failed = session.connection.info.transaction_status == pg.TRANSACTION_STATUS_INERROR
            if failed and not sql.startswith(('ROLLBACK', 'COMMIT')):
                session.send('ROLLBACK')
                self.settle(case, number)
            if case.coarse:
                # Whether two steps fall into the same millisecond would be chance.
                time.sleep(0.002)
            session.send(sql)
            self.settle(case, number)
            if all(s.busy for s in self.sessions):
                self.cancel_first(case)
            self.look(case, None if session.busy else session)

    def settle(self, case, first=None):
        """Let everybody go on until all have ended or wait for another one, and no two can be woken at once."""
        waiting = {number for number, session in enumerate(self.sessions) if session.busy and session.waited}
        outcomes, waits = self.until_all_wait()
        # Who was woken up by whom may be told before him, so put them in an order.
        for number in sorted(range(len(self.sessions)), key=lambda n: n != first):
            if number in outcomes:
                self.events.append((self.step, number, outcomes[number]))
            elif self.sessions[number].busy and number not in waiting:
                self.events.append((self.step, number, 'waits'))
        latest = sorted(waits, key=lambda number: (number in waiting, -number))
        for number in latest:
            if len(waits) > 1 and not self.wakes_alone(number, waits):
                self.cancel(case, number)
                break

    def until_all_wait(self):
        """What became of those that have ended, and {number: (whom it waits for, is it for a transaction)} of all others."""
        outcomes = {}
        patience = 0.001
        while True:
            busy = {session.pid: number for number, session in enumerate(self.sessions) if session.busy}
            ended = {number: outcome for number in busy.values() if (outcome := self.sessions[number].outcome())}
            outcomes.update(ended)
            if ended:
                continue
            waits = self.ask(WAITS, (list(busy),)) if busy else []
            if len(waits) == len(busy):
                break
            select.select([self.sessions[number].connection for number in busy.values()], [], [], patience)
            patience = min(patience * 2, 0.02)
        numbers = {str(session.pid): number for number, session in enumerate(self.sessions)}
        for number in busy.values():
            self.sessions[number].waited = True
        return outcomes, {busy[int(pid)]: ({numbers.get(p) for p in blockers.strip('{}').split(',')}, of_transaction == 't')
                          for pid, blockers, of_transaction in waits}

    @staticmethod
    def wakes_alone(number, waits):
        """Whether nothing that wakes this session wakes another one as well, unless that comes first and ends its transaction."""
        blockers, of_transaction = waits[number]
        shared = any(blockers & others for other, (others, _) in waits.items() if other != number)
        return not shared and (of_transaction or not blockers & set(waits))

    def cancel(self, case, number):
        """End the statement of one that waits."""
        self.events.append((self.step, number, 'is cancelled'))
        self.ask('SELECT pg_cancel_backend(%s)', (self.sessions[number].pid,))
        select.select([self.sessions[number].connection], [], [])
        self.settle(case, number)

    def cancel_first(self, case):
        """All wait for each other: end the statement of the first one that does."""
        self.cancel(case, next(n for n, session in enumerate(self.sessions) if session.busy))

    def end(self, case):
        """Everybody commits; who waits for nobody first."""
        while any(session.in_transaction() for session in self.sessions):
            free = [n for n, s in enumerate(self.sessions) if s.in_transaction() and not s.busy]
            if free:
                self.sessions[free[0]].send('COMMIT')
                self.settle(case, free[0])
            else:
                self.cancel_first(case)
            self.look(case)
        for sql in case.final_checks:
            self.events.append((self.step, 'check', self.look_up(sql)))

    def look(self, case, session=None):
        """The tables, as everybody sees them and as the session does."""
        for sql in case.dumps:
            all_see = self.look_up(sql)
            self.events.append((self.step, 'all see', all_see))
            status = session and session.connection.info.transaction_status
            # The session would wait if another one has locked the whole table.
            if status == pg.TRANSACTION_STATUS_INTRANS and not case.serializable and 'rows' in all_see:
                self.events.append((self.step, 'it sees', {'rows': session.run(sql)}))

    def look_up(self, sql):
        try:
            return {'rows': self.ask(sql)}
        except psycopg2.Error as error:
            return {'sqlstate': error.pgcode, 'message': error.diag.message_primary}
