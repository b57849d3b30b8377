import json
import sys
import unittest
from collections import Counter
from pathlib import Path
from threading import Barrier, Event

from django.db import DatabaseError, OperationalError, transaction

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
from harness import ExampleTest, elsewhere, in_threads, sql, until_somebody_waits

import by_hand
import with_occ
from models import Product
from occ_django import Conflict, conflicts, retry, sqlstate

ACTIVE_SQL_TRANSACTION = '25001'
SERIALIZATION_FAILURE = '40001'


def isolation(level):
    """The level of the transactions to come, in this session."""
    sql(f"SET default_transaction_isolation = '{level}'")


def twenty_buy_three(program, level='read committed'):
    """Twenty clients order 3 of product 1, all at once; Counter of what becomes of them."""
    barrier = Barrier(20, timeout=60)

    def one(i):
        isolation(level)
        barrier.wait()
        try:
            outcome = program(1, 3)
        except with_occ.SoldOut:
            return 'sold out'
        return outcome if isinstance(outcome, str) else 'ordered'

    return Counter(in_threads(20, one))


def interrupted(times, quantity):
    """A has_read() during which somebody else orders so many, the first few times; and the list of its calls."""
    calls = []

    def has_read():
        calls.append('has read')
        if len(calls) <= times:
            elsewhere(by_hand.place_order, 1, quantity)

    return has_read, calls


def while_it_waits(program, change, level='read committed'):
    """The outcome of program(), which orders by the function in schema.sql; once that has read, change() is done."""
    locked = Event()

    def change_first():
        with transaction.atomic():
            sql('LOCK TABLE orders IN SHARE MODE')      # the function writes there after reading
            locked.set()
            until_somebody_waits()
            change()

    def run():
        isolation(level)
        locked.wait(60)
        return program()

    changed, outcome = in_threads(2, lambda i: [change_first, run][i]())
    if isinstance(changed, Exception):
        raise changed
    return outcome


def call_retry(max_attempts=5):
    """Order 3 of product 1 as the page does: the number of attempts, and the result as Python has it."""
    (attempts, result), = sql("CALL occ.retry('SELECT place_order($1, $2) AS order_id', %s, arguments => '[1, 3]')",
                              max_attempts)
    return attempts, json.loads(result)


class OrderWithStock(ExampleTest):
    def stock_sold_ordered(self):
        return sql('''SELECT stock, sold, (SELECT coalesce(sum(quantity), 0) FROM order_line)
                      FROM product WHERE id = 1''')[0]

    def assertStock(self, stock):
        """So many are left, the others are sold, and each one that is sold is in an order that is whole."""
        self.assertEqual(self.stock_sold_ordered(), (stock, 50 - stock, 50 - stock))
        self.assertEqual(sql('SELECT id FROM orders EXCEPT SELECT order_id FROM order_line'), [])

    def assertFewSold(self, outcomes):
        """As many as were told so have got three each; by hand, that may be less than there is."""
        self.assertLessEqual(outcomes['ordered'], 16)
        self.assertEqual(outcomes['ordered'] + outcomes['sold out'] + outcomes['gave up'], 20)
        self.assertStock(50 - 3 * outcomes['ordered'])

    def assertAllSold(self, outcomes):
        self.assertEqual(outcomes, {'ordered': 16, 'sold out': 4})
        self.assertStock(2)

    def sell_and_restock_between(self, program):
        """While program() orders 3, somebody else orders 3, and 3 come in."""
        def has_read():
            if not calls:
                calls.append('has read')
                elsewhere(by_hand.place_order, 1, 3)
                elsewhere(sql, 'UPDATE product SET stock = stock + 3 WHERE id = 1')

        calls = []
        program(1, 3, has_read)

    def assertFailsAtTheFirstConflict(self):
        """The original under REPEATABLE READ."""
        def order():
            isolation('repeatable read')
            by_hand.place_order(1, 3, has_read)

        has_read, calls = interrupted(1, 3)
        self.assertEqual(sqlstate(elsewhere(order)), SERIALIZATION_FAILURE)
        self.assertEqual(len(calls), 1)
        self.assertStock(47)

    # By hand

    def test_by_hand_twenty_clients(self):
        self.disable_guards()
        self.assertFewSold(twenty_buy_three(by_hand.place_order))

    def test_by_hand_it_gives_up_with_stock_left(self):
        self.disable_guards()
        has_read, calls = interrupted(5, 1)
        self.assertEqual(by_hand.place_order(1, 3, has_read), 'gave up')
        self.assertStock(45)

    def test_by_hand_what_changed_and_changed_back_counts_as_unchanged(self):
        self.disable_guards()
        self.sell_and_restock_between(by_hand.place_order)
        self.assertEqual(self.stock_sold_ordered(), (47, 3, 6))

    def test_by_hand_another_program_compares_nothing(self):
        self.disable_guards()
        by_hand.rename(1, 'ripe banana', lambda: elsewhere(by_hand.place_order, 1, 48))
        self.assertEqual(self.stock_sold_ordered(), (50, 0, 48))
        self.assertIsInstance(by_hand.place_order(1, 48), int)      # and they are sold again

    def test_by_hand_repeatable_read_fails_at_the_first_conflict(self):
        self.disable_guards()
        self.assertFailsAtTheFirstConflict()

    def test_by_hand_repeatable_read_has_no_second_try(self):
        self.disable_guards()

        def five_tries():
            isolation('repeatable read')
            tries = []
            with transaction.atomic():
                for i in range(5):
                    try:
                        with transaction.atomic():
                            by_hand.place_order(1, 3, interrupted(i == 0, 3)[0])
                    except OperationalError as error:
                        tries.append((Product.objects.get(pk=1).stock, sqlstate(error)))
            return tries

        self.assertEqual(elsewhere(five_tries), [(50, SERIALIZATION_FAILURE)] * 5)
        self.assertStock(47)

    # The same programs on the guarded table

    def test_guarded_twenty_clients_of_the_original(self):
        self.assertFewSold(twenty_buy_three(by_hand.place_order))

    def test_guarded_the_original_gives_up_as_before(self):
        has_read, calls = interrupted(5, 1)
        self.assertEqual(by_hand.place_order(1, 3, has_read), 'gave up')
        self.assertStock(45)

    def test_guarded_the_original_compares_the_stock_as_before(self):
        self.sell_and_restock_between(by_hand.place_order)
        self.assertEqual(self.stock_sold_ordered(), (47, 3, 6))

    def test_guarded_the_other_program_is_told(self):
        with self.assertRaises(Conflict) as caught, conflicts():
            by_hand.rename(1, 'ripe banana', lambda: elsewhere(by_hand.place_order, 1, 48))
        self.assertEqual(caught.exception.conflict_ids, [1])
        self.assertStock(2)
        self.assertEqual(by_hand.place_order(1, 48), 'sold out')

    def test_guarded_the_original_fails_under_repeatable_read_as_before(self):
        self.assertFailsAtTheFirstConflict()

    # In Django

    def test_guarded_twenty_clients(self):
        self.assertAllSold(twenty_buy_three(with_occ.place_order))

    def test_guarded_the_last_ones_are_sold_once(self):
        has_read, calls = interrupted(1, 48)
        with self.assertRaises(with_occ.SoldOut):
            with_occ.place_order(1, 3, has_read)
        self.assertEqual(len(calls), 2)
        self.assertStock(2)

    def test_guarded_it_does_not_give_up_after_five(self):
        has_read, calls = interrupted(6, 1)
        self.assertIsInstance(with_occ.place_order(1, 3, has_read), int)
        self.assertEqual(len(calls), 7)
        self.assertStock(41)

    def test_guarded_what_changed_and_changed_back_has_changed(self):
        self.sell_and_restock_between(with_occ.place_order)
        self.assertEqual(self.stock_sold_ordered(), (47, 6, 6))

    def test_guarded_repeatable_read(self):
        def order():
            isolation('repeatable read')
            has_read, calls = interrupted(1, 3)
            with_occ.place_order(1, 3, has_read)
            return len(calls)

        self.assertEqual(elsewhere(order), 2)
        self.assertStock(44)

    def test_a_conflict_that_was_raised_by_hand_has_no_ids(self):
        for using in '', " USING DETAIL = 'just so'":
            with self.assertRaises(Conflict) as caught, conflicts():
                sql(f"DO $$ BEGIN RAISE SQLSTATE 'PT409'{using}; END $$")
            self.assertEqual(caught.exception.conflict_ids, [])

    def test_no_attempts_are_an_error(self):
        with self.assertRaises(ValueError):
            retry(attempts=0)

    # In SQL

    def test_guarded_twenty_clients_of_occ_retry(self):
        self.assertAllSold(twenty_buy_three(with_occ.place_order_in_sql))

    def test_guarded_twenty_clients_of_occ_retry_under_repeatable_read(self):
        self.assertAllSold(twenty_buy_three(with_occ.place_order_in_sql, 'repeatable read'))

    def test_guarded_twenty_clients_of_occ_retry_under_serializable(self):
        # PostgreSQL may refuse more than it has to, so 20 attempts are not sure to be enough.
        self.assertAllSold(twenty_buy_three(lambda *order: with_occ.place_order_in_sql(*order, 1000), 'serializable'))

    def test_guarded_occ_retry_sells_the_last_ones_once(self):
        outcome = while_it_waits(lambda: with_occ.place_order_in_sql(1, 3), lambda: by_hand.place_order(1, 48))
        self.assertIsInstance(outcome, with_occ.SoldOut)
        self.assertStock(2)

    def test_guarded_occ_retry_under_each_level(self):
        for number, level in enumerate(['read committed', 'repeatable read', 'serializable'], start=1):
            with self.subTest(level):
                attempts, result = while_it_waits(call_retry, lambda: by_hand.place_order(1, 3), level)
                self.assertEqual(attempts, 2)
                self.assertEqual(sql('SELECT quantity FROM order_line WHERE order_id = %s', result['order_id']), [(3,)])
                self.assertStock(50 - 6 * number)

    def test_guarded_occ_retry_raises_the_last_error(self):
        outcome = while_it_waits(lambda: call_retry(max_attempts=1), lambda: by_hand.place_order(1, 3))
        self.assertIsInstance(outcome, DatabaseError)
        self.assertEqual(sqlstate(outcome), 'PT409')
        self.assertStock(47)

    def test_guarded_occ_retry_in_a_transaction(self):
        def order():
            with transaction.atomic():
                sql("INSERT INTO product VALUES (2, 'apple', 50)")
                return call_retry()

        attempts, result = while_it_waits(order, lambda: by_hand.place_order(1, 3))
        self.assertEqual(attempts, 2)
        self.assertEqual(sql('SELECT name FROM product WHERE id = 2'), [('apple',)])
        self.assertStock(44)

    def test_guarded_occ_retry_is_refused_in_a_repeatable_read_transaction(self):
        for level in 'repeatable read', 'serializable':
            with self.subTest(level), self.assertRaises(DatabaseError) as caught, transaction.atomic():
                sql(f'SET TRANSACTION ISOLATION LEVEL {level}')
                call_retry()
            self.assertEqual(sqlstate(caught.exception), ACTIVE_SQL_TRANSACTION)
            self.assertIn('cannot try again within a', str(caught.exception))
            self.assertStock(50)


if __name__ == '__main__':
    unittest.main(verbosity=2)
