import sys
import unittest
from itertools import count
from pathlib import Path
from threading import Event

from django.db import OperationalError, transaction

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
from harness import ExampleTest, elsewhere, in_threads, sql, until_somebody_waits

import by_hand
import with_occ
from models import Product
from occ_django import Conflict, conflicts, sqlstate

LOCK_NOT_AVAILABLE = '55P03'


def two_lock():
    """Two take 3 of product 1; who is first to lock it goes on when the other one waits."""
    lockers = count()

    def has_locked():
        if next(lockers) == 0:
            until_somebody_waits()

    return in_threads(2, lambda i: by_hand.take(1, 3, has_locked))


def one_locks(restock):
    """One reads product 1 and wants to add 5; another one locks it, and takes 3 once the first one wants to write."""
    read, locked = Event(), Event()

    def has_read():
        read.set()
        locked.wait(60)

    def has_locked():
        locked.set()
        until_somebody_waits()

    def take():
        read.wait(60)
        by_hand.take(1, 3, has_locked)

    def optimistic():
        with conflicts():
            restock(1, 5, has_read)

    return in_threads(2, lambda i: [optimistic, take][i]())


class SelectForUpdate(ExampleTest):
    def stocks(self):
        return [stock for stock, in sql('SELECT stock FROM product ORDER BY id')]

    def versions(self):
        return [version for version, in sql('SELECT version FROM product ORDER BY id')]

    def assertConflict(self, outcome, *ids):
        self.assertIsInstance(outcome, Conflict)
        self.assertEqual(outcome.conflict_ids, list(ids))

    # By hand

    def test_by_hand_who_locks_waits_for_who_has_locked(self):
        self.disable_guards()
        self.assertEqual(two_lock(), [None, None])
        self.assertEqual(self.stocks(), [4, 10, 1])

    def test_by_hand_who_does_not_lock_overwrites(self):
        self.disable_guards()
        self.assertEqual(one_locks(by_hand.restock_without_lock), [None, None])
        self.assertEqual(self.stocks(), [15, 10, 1])

    def test_by_hand_the_lock_is_gone_before_the_form_is_shown(self):
        self.disable_guards()
        product = by_hand.open_form(1)
        elsewhere(by_hand.take, 1, 3)
        product.name = 'ripe banana'
        by_hand.submit_form(product)
        self.assertEqual(self.stocks(), [10, 10, 1])

    def test_by_hand_an_inner_block_fails_and_the_others_commit(self):
        self.disable_guards()
        self.assertEqual(by_hand.take_each([(1, 2), (3, 2), (2, 2)]), [3])
        self.assertEqual(self.stocks(), [8, 8, 1])

    def test_by_hand_a_savepoint_is_rolled_back_and_the_others_commit(self):
        self.disable_guards()
        self.assertEqual(by_hand.take_and_look([(1, 2), (3, 2), (2, 2)]), [3])
        self.assertEqual(self.stocks(), [8, 8, 1])

    def test_by_hand_one_object_is_saved_twice(self):
        self.disable_guards()
        by_hand.take_and_rename(1, 3, 'ripe banana')
        self.assertEqual(sql('SELECT name, stock FROM product WHERE id = 1'), [('ripe banana', 7)])

    # The same programs beside the guard

    def test_guarded_who_locks_waits_and_can_not_conflict(self):
        self.assertEqual(two_lock(), [None, None])
        self.assertEqual(self.stocks(), [4, 10, 1])
        self.assertEqual(self.versions(), [3, 1, 1])

    def test_guarded_who_does_not_lock_conflicts(self):
        conflict, taken = one_locks(by_hand.restock_without_lock)
        self.assertConflict(conflict, 1)
        self.assertIsNone(taken)
        self.assertEqual(self.stocks(), [7, 10, 1])

    def test_guarded_the_form_of_the_original_conflicts(self):
        product = by_hand.open_form(1)
        elsewhere(by_hand.take, 1, 3)
        product.name = 'ripe banana'
        with self.assertRaises(Conflict) as caught, conflicts():
            by_hand.submit_form(product)
        self.assertConflict(caught.exception, 1)
        self.assertEqual(self.stocks(), [7, 10, 1])

    def test_guarded_an_inner_block_fails_and_the_others_commit(self):
        self.assertEqual(by_hand.take_each([(1, 2), (3, 2), (2, 2)]), [3])
        self.assertEqual(self.stocks(), [8, 8, 1])
        self.assertEqual(self.versions(), [2, 2, 1])

    def test_guarded_a_savepoint_is_rolled_back_and_the_others_commit(self):
        self.assertEqual(by_hand.take_and_look([(1, 2), (3, 2), (2, 2)]), [3])
        self.assertEqual(self.stocks(), [8, 8, 1])
        self.assertEqual(self.versions(), [2, 2, 1])

    def test_guarded_one_object_saved_twice_conflicts_with_itself(self):
        with self.assertRaises(Conflict) as caught, conflicts():
            by_hand.take_and_rename(1, 3, 'ripe banana')
        self.assertConflict(caught.exception, 1)
        self.assertEqual(self.stocks(), [10, 10, 1])

    def test_guarded_nowait_and_skip_locked(self):
        def lock_nowait():
            with transaction.atomic():
                return list(Product.objects.select_for_update(nowait=True).values_list('id', flat=True))

        def lock_free():
            with transaction.atomic():
                free = Product.objects.select_for_update(skip_locked=True).order_by('id')
                return list(free.values_list('id', flat=True))

        with transaction.atomic():
            Product.objects.select_for_update().get(pk=1)
            Product.objects.get(pk=2).save()        # a guarded update locks its row as any update does
            self.assertEqual(sqlstate(elsewhere(lock_nowait)), LOCK_NOT_AVAILABLE)
            self.assertEqual(elsewhere(lock_free), [3])
        self.assertEqual(elsewhere(lock_free), [1, 2, 3])
        self.assertEqual(self.versions(), [1, 2, 1])        # locks alone move no version

    # Savepoints and conflicts

    def test_guarded_a_savepoint_gives_the_version_back(self):
        versions = []

        def look():
            versions.append(self.versions()[0])

        product = Product.objects.get(pk=1)
        with transaction.atomic():
            look()
            before = transaction.savepoint()
            product.save()
            look()
            transaction.savepoint_rollback(before)
            look()
            product.save()      # the object has version 1, and so has the row again
            look()
        self.assertEqual(versions, [1, 2, 1, 2])

    def test_guarded_a_conflict_in_a_savepoint_undoes_no_more_than_that(self):
        stale = Product.objects.get(pk=1)
        elsewhere(by_hand.take, 1, 3)
        with transaction.atomic():
            by_hand.take(2, 3)
            before = transaction.savepoint()
            with self.assertRaises(Conflict), conflicts():
                stale.save()
            transaction.set_rollback(False)     # after any error in a save(), before Django rolls back to a savepoint
            transaction.savepoint_rollback(before)
            by_hand.take(3, 1)
        self.assertEqual(self.stocks(), [7, 7, 0])

    def test_guarded_a_conflict_in_an_inner_block_undoes_no_more_than_that(self):
        products = list(Product.objects.order_by('id'))
        elsewhere(by_hand.take, 2, 3)
        for product in products:
            product.stock += 1
        self.assertEqual(with_occ.submit_forms(products), [2])
        self.assertEqual(self.stocks(), [11, 7, 2])

    def test_guarded_a_form_needs_no_lock(self):
        product = Product.objects.get(pk=1)
        by_hand.take(1, 3)
        self.assertConflict(elsewhere(with_occ.submit_form, product), 1)
        with_occ.submit_form(Product.objects.get(pk=1))
        self.assertEqual(self.stocks(), [7, 10, 1])

    def test_guarded_one_object_is_saved_twice(self):
        with_occ.take_and_rename(1, 3, 'ripe banana')
        self.assertEqual(sql('SELECT name, stock, version FROM product WHERE id = 1'), [('ripe banana', 7, 3)])

    def test_guarded_a_lock_on_what_was_seen(self):
        def lock_nowait():
            with transaction.atomic():
                Product.objects.select_for_update(nowait=True).get(pk=1)

        refused = []
        product = Product.objects.get(pk=1)
        with_occ.take_as_seen(product, lambda: refused.append(elsewhere(lock_nowait)))
        self.assertEqual([sqlstate(error) for error in refused], [LOCK_NOT_AVAILABLE])
        self.assertEqual(self.stocks(), [9, 10, 1])

        self.assertConflict(elsewhere(with_occ.take_as_seen, product, lambda: self.fail('delivered')), 1)
        self.assertEqual(self.stocks(), [9, 10, 1])


if __name__ == '__main__':
    unittest.main(verbosity=2)
