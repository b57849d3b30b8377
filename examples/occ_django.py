"""Conflicts of occ_lock as Python exceptions, for Django.  Paste this file into your project.

    try:
        with conflicts():
            product.save()
    except Conflict as conflict:
        print(conflict.conflict_ids)        # [1, 7]

    @retry(attempts=5)
    def sell(product_id, amount):           # reads what it writes, so that each attempt has fresh data
        ...
"""
import functools
import json
import random
import time
from contextlib import contextmanager

from django.db import DatabaseError, transaction

CONFLICT = 'PT409'
SERIALIZATION_FAILURE = '40001'
DEADLOCK = '40P01'


class Conflict(DatabaseError):
    """Rows were changed or deleted since they were read.

    conflict_ids  their keys, as a list; a key of several columns is a list itself
    rows          the same with the versions: [{'key': {'id': 1}, 'status': 'stale', 'expected': 1, 'actual': 2}]
    """

    def __init__(self, message, detail):
        super().__init__(message)
        self.conflict_ids = detail.get('ids', [])
        self.rows = detail.get('rows', [])


def sqlstate(error):
    """The SQLSTATE behind one of Django's database errors (psycopg 3 calls it sqlstate, psycopg2 pgcode)."""
    return getattr(error.__cause__, 'sqlstate', None) or getattr(error.__cause__, 'pgcode', None)


@contextmanager
def conflicts():
    """Raise Conflict where PostgreSQL reports one."""
    try:
        yield
    except DatabaseError as error:
        if isinstance(error, Conflict) or sqlstate(error) != CONFLICT:
            raise
        report = error.__cause__.diag
        try:
            detail = json.loads(report.message_detail)
        except (TypeError, ValueError):     # somebody's own RAISE SQLSTATE 'PT409'
            detail = {}
        raise Conflict(report.message_primary, detail) from error.__cause__


def retry(attempts=5, base_delay=0.005, max_delay=1.0, using=None):
    """Run a function in a transaction, and again on conflict; delays are in seconds.

    Inside another transaction an attempt is a savepoint, which can only help under READ COMMITTED.
    """
    if attempts < 1:
        raise ValueError('attempts must be at least 1')

    def decorate(function):
        @functools.wraps(function)
        def run(*args, **kwargs):
            for attempt in range(attempts):
                try:
                    with conflicts(), transaction.atomic(using):
                        return function(*args, **kwargs)
                except DatabaseError as error:
                    if sqlstate(error) not in (CONFLICT, SERIALIZATION_FAILURE, DEADLOCK) or attempt == attempts - 1:
                        raise
                time.sleep(random.uniform(0.5, 1) * min(max_delay, base_delay * 2**attempt))
        return run
    return decorate
