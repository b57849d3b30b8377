import sys
import threading
import unittest
from collections import Counter
from contextlib import contextmanager
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
from harness import ExampleTest, in_threads, sql

from django.core.serializers.json import DjangoJSONEncoder
from django.db import DatabaseError, connection
from django.db.models import F

import by_hand
import with_occ
from models import Product
from occ_django import Conflict, conflicts, sqlstate


@contextmanager
def before_updates(act):
    """Call act() before each UPDATE that this thread sends, which is after whatever check the program makes."""
    def send(execute, statement, parameters, many, context):
        if statement.startswith('UPDATE'):
            act()
        return execute(statement, parameters, many, context)

    with connection.execute_wrapper(send):
        yield


def all_five(change):
    """Five threads call change(i, wait); Counter of what becomes of them."""
    barrier = threading.Barrier(5, timeout=60)

    def one(i):
        try:
            with conflicts():
                return change(i, barrier.wait) or 'done'
        except (Conflict, by_hand.Changed) as conflict:
            return f'conflict on {conflict.conflict_ids}'
        except DatabaseError as error:
            return sqlstate(error)

    return Counter(in_threads(5, one))


def by_hand_at_once(i, wait):
    """The original; all five have made their check before any of them writes."""
    products = by_hand.SafeQuerySet(Product).with_lock()
    with before_updates(wait):
        products.update_safely(price=11 + i)


def prices():
    return [price for price, in sql('SELECT price FROM product ORDER BY id')]


class UpdateSafely(ExampleTest):
    def conflict(self, products, **changes):
        """The conflict that update_safely() must raise."""
        with self.assertRaises((Conflict, by_hand.Changed)) as caught:
            products.update_safely(**changes)
        return caught.exception

    # By hand.

    def test_by_hand_names_the_rows_that_were_saved_meanwhile(self):
        self.disable_guards()
        products = by_hand.SafeQuerySet(Product).with_lock()
        Product.objects.get(pk=2).save()
        self.assertEqual(self.conflict(products, price=11).conflict_ids, [2])
        self.assertEqual(prices(), [10, 10, 10])

    def test_by_hand_does_not_notice_what_update_wrote(self):
        self.disable_guards()
        first, second = (by_hand.SafeQuerySet(Product).with_lock() for _ in range(2))
        self.assertEqual(first.update_safely(price=11), 3)
        self.assertEqual(second.update_safely(price=12), 3)
        self.assertEqual(prices(), [12, 12, 12])

    def test_by_hand_does_not_notice_deleted_rows(self):
        self.disable_guards()
        products = by_hand.SafeQuerySet(Product).with_lock()
        sql('DELETE FROM product WHERE id = 3')
        self.assertEqual(products.update_safely(price=11), 2)

    def test_by_hand_all_five_succeed_between_check_and_write(self):
        self.disable_guards()
        self.assertEqual(all_five(by_hand_at_once), {'done': 5})

    # On occ_lock.

    def test_guarded_one_of_five_succeeds_and_four_conflict(self):
        def change(i, wait):
            products = with_occ.SafeQuerySet(Product).order_by('id').with_lock()
            wait()
            products.update_safely(price=11 + i)

        self.assertEqual(all_five(change), {'done': 1, 'conflict on [1, 2, 3]': 4})
        self.assertEqual(len(set(prices())), 1)

    def test_guarded_plain_sql(self):
        def change(i, wait):
            (snapshot,), = sql('SELECT jsonb_agg(occ.snapshot(product) ORDER BY id)::text FROM product')
            wait()
            sql("SELECT * FROM occ.update_safely('product', %s, jsonb_build_object('price', %s))", snapshot, 11 + i)

        self.assertEqual(all_five(change), {'done': 1, 'conflict on [1, 2, 3]': 4})

    def test_guarded_names_exactly_the_rows_that_were_changed_or_deleted(self):
        products = with_occ.SafeQuerySet(Product).order_by('id').with_lock()
        sql('UPDATE product SET stock = 0 WHERE id = 2')
        sql('DELETE FROM product WHERE id = 3')
        conflict = self.conflict(products, price=11)
        self.assertEqual(conflict.conflict_ids, [2, 3])
        self.assertEqual([row['status'] for row in conflict.rows], ['stale', 'missing'])
        self.assertEqual(prices(), [10, 10])

    def test_guarded_save_with_auto_now_is_noticed(self):
        products = with_occ.SafeQuerySet(Product).with_lock()
        Product.objects.get(pk=2).save()
        self.assertEqual(self.conflict(products, price=11).conflict_ids, [2])

    def test_guarded_only_the_rows_of_the_query_set(self):
        products = with_occ.SafeQuerySet(Product).filter(stock__gt=3).with_lock()
        sql('UPDATE product SET stock = 9 WHERE id = 1')
        self.assertEqual(products.update_safely(price=11, name='sold out'), 2)
        self.assertEqual(prices(), [10, 11, 11])
        self.assertEqual(with_occ.SafeQuerySet(Product).none().with_lock().update_safely(price=12), 0)

    def test_guarded_again_from_one_snapshot(self):
        first, second = (with_occ.SafeQuerySet(Product).order_by('id').with_lock() for _ in range(2))
        first.update_safely(price=11)
        first.update_safely(price=12)
        self.assertEqual(self.conflict(second, price=13).conflict_ids, [1, 2, 3])
        self.assertEqual(prices(), [12, 12, 12])

    def test_guarded_snapshot_needs_microseconds(self):
        class CutQuerySet(with_occ.SafeQuerySet):
            encoder = DjangoJSONEncoder

        cut, exact = (
            query_set(Product).order_by('id').with_lock() for query_set in (CutQuerySet, with_occ.SafeQuerySet))
        self.assertEqual(self.conflict(cut, price=11).conflict_ids, [1, 2, 3])
        self.assertEqual(exact.update_safely(price=11), 3)

    def test_guarded_lock_fields(self):
        for_stock, for_version = (
            with_occ.SafeQuerySet(Product).order_by('id').with_lock(lock_fields) for lock_fields in (['stock'], None))
        sql("UPDATE product SET name = 'plum' WHERE id = 1")
        self.assertEqual(self.conflict(for_version, price=11).conflict_ids, [1])
        self.assertEqual(for_stock.update_safely(price=11), 3)
        sql('UPDATE product SET stock = 0 WHERE id = 2')
        conflict = self.conflict(for_stock, price=12)
        self.assertEqual(conflict.conflict_ids, [2])
        self.assertEqual(conflict.rows[0]['expected'], {'stock': 4})
        self.assertEqual(conflict.rows[0]['actual'], {'stock': 0})

    def test_guarded_lock_fields_do_not_notice_what_was_changed_back(self):
        for_stock, for_version = (
            with_occ.SafeQuerySet(Product).with_lock(lock_fields) for lock_fields in (['stock'], None))
        sql('UPDATE product SET stock = 0 WHERE id = 1')
        sql('UPDATE product SET stock = 3 WHERE id = 1')
        self.assertEqual(self.conflict(for_version, price=11).conflict_ids, [1])
        self.assertEqual(for_stock.update_safely(price=11), 3)

    def test_lock_fields_need_no_guard(self):
        sql("SELECT occ.disable('product')")

        def change(i, wait):
            products = with_occ.SafeQuerySet(Product).order_by('id').with_lock(['price', 'stock'])
            wait()
            products.update_safely(price=11 + i)

        self.assertEqual(all_five(change), {'done': 1, 'conflict on [1, 2, 3]': 4})

    def test_changes_are_values(self):
        products = with_occ.SafeQuerySet(Product).with_lock()
        with self.assertRaises(TypeError):
            products.update_safely(name=F('name'))

    def test_without_a_snapshot_is_an_error(self):
        for query_set in (by_hand.SafeQuerySet, with_occ.SafeQuerySet):
            with self.assertRaises(RuntimeError):
                query_set(Product).update_safely(price=11)

    # The original on the guarded table.

    def test_guarded_the_original_notices_what_update_wrote(self):
        first, second = (by_hand.SafeQuerySet(Product).with_lock() for _ in range(2))
        first.update_safely(price=11)
        self.assertEqual(self.conflict(second, price=12).conflict_ids, [1, 2, 3])
        self.assertEqual(prices(), [11, 11, 11])

    def test_guarded_the_original_notices_raw_sql(self):
        products = by_hand.SafeQuerySet(Product).with_lock()
        sql('UPDATE product SET stock = 0 WHERE id = 2')
        self.assertEqual(self.conflict(products, price=11).conflict_ids, [2])

    def test_guarded_the_original_is_still_blind_under_shared(self):
        mine = with_occ.SafeQuerySet(Product).order_by('id').with_lock()
        self.assertEqual(all_five(by_hand_at_once), {'done': 5})
        self.assertEqual(self.conflict(mine, price=10).conflict_ids, [1, 2, 3])

    def test_guarded_strict_refuses_the_original_and_not_ours(self):
        sql("SELECT occ.enable('product', 'updated_at', preset => 'strict')")
        mine = with_occ.SafeQuerySet(Product).with_lock()
        self.assertEqual(all_five(by_hand_at_once), {'PT428': 5})
        self.assertEqual(mine.update_safely(price=11), 3)


if __name__ == '__main__':
    unittest.main(verbosity=2)
