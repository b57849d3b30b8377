import json
import subprocess
import sys
import unittest
from http.client import HTTPConnection
from pathlib import Path
from threading import Barrier

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
from harness import EXAMPLE, ExampleTest, in_threads, sql

import by_hand
import with_occ
from models import Product
from occ_django import Conflict, conflicts

ROUNDS = 100


def two_at_once(cancel):
    """Two call cancel(wait), and both may wait for the other one.  What they return, sorted; conflicts as their ids."""
    barrier = Barrier(2, timeout=60)

    def one(i):
        try:
            with conflicts():
                return cancel(barrier.wait)
        except Conflict as conflict:
            return f'conflict on {conflict.conflict_ids}'

    return sorted(in_threads(2, one), key=str)


class OrderTest(ExampleTest):
    def stock(self):
        return Product.objects.get(pk=1).stock

    def place(self):
        self.assertEqual(self.stock(), 1)
        order = by_hand.place(1, 1)
        self.assertEqual(self.stock(), 0)
        return order


class CancelledTwice(OrderTest):
    def both_have_checked(self, program, *arguments):
        order = self.place()
        return two_at_once(lambda wait: program(order.pk, *arguments, wait))

    def test_by_hand_one_after_the_other_is_fine(self):
        self.disable_guards()
        order = self.place()
        self.assertEqual(by_hand.cancel(order.pk, lambda: None), 'cancelled')
        self.assertEqual(by_hand.cancel(order.pk, lambda: None), 'cancelled already')
        self.assertEqual(self.stock(), 1)

    def test_by_hand_the_stock_comes_back_twice(self):
        self.disable_guards()
        self.assertEqual(self.both_have_checked(by_hand.cancel), ['cancelled', 'cancelled'])
        self.assertEqual(self.stock(), 2)

    def test_by_hand_f_does_not_help(self):
        self.disable_guards()
        self.assertEqual(self.both_have_checked(by_hand.cancel_with_f), ['cancelled', 'cancelled'])
        self.assertEqual(self.stock(), 2)

    def test_guarded_the_original_gives_it_back_once(self):
        for program in by_hand.cancel, by_hand.cancel_with_f:
            with self.subTest(program.__name__):
                order = self.place()
                self.assertEqual(two_at_once(lambda wait: program(order.pk, wait)),
                                 ['cancelled', f'conflict on [{order.pk}]'])
                self.assertEqual(self.stock(), 1)

    def test_guarded_it_comes_back_once(self):
        self.assertEqual(self.both_have_checked(with_occ.cancel, 1), ['cancelled', 'conflict on [1]'])
        self.assertEqual(self.stock(), 1)

    def test_guarded_a_hundred_rounds(self):
        for _ in range(ROUNDS):
            order = self.place()

            def cancel(wait):
                wait()
                return with_occ.cancel(order.pk, order.version)

            self.assertEqual(two_at_once(cancel), ['cancelled', f'conflict on [{order.pk}]'])
            self.assertEqual(self.stock(), 1)

    def test_guarded_who_sees_that_it_is_cancelled_is_told_so(self):
        order = self.place()
        self.assertEqual(with_occ.cancel(order.pk, order.version), 'cancelled')
        with self.assertRaises(Conflict):
            with_occ.cancel(order.pk, order.version)
        order.refresh_from_db()
        self.assertEqual(with_occ.cancel(order.pk, order.version), 'cancelled already')
        self.assertEqual(self.stock(), 1)

    def test_guarded_orders_of_one_product_do_not_conflict(self):
        sql('UPDATE product SET stock = 2')
        orders = [by_hand.place(1, 1), by_hand.place(1, 1)]
        outcomes = two_at_once(lambda wait: with_occ.cancel(orders.pop().pk, 1, wait))
        self.assertEqual(outcomes, ['cancelled', 'cancelled'])
        self.assertEqual(self.stock(), 2)

    def test_guarded_plain_sql(self):
        order = self.place()

        def cancel(wait):
            wait()
            return sql('''WITH cancelled AS (
                              UPDATE orders SET status = 'cancelled', version = %s WHERE id = %s
                              RETURNING product_id, quantity)
                          UPDATE product SET stock = stock + quantity FROM cancelled WHERE id = product_id
                          RETURNING stock''', order.version, order.pk)

        self.assertEqual(two_at_once(cancel), [[(1,)], f'conflict on [{order.pk}]'])
        self.assertEqual(self.stock(), 1)


class OverHttp(OrderTest):
    @classmethod
    def setUpClass(cls):
        cls.server = subprocess.Popen([sys.executable, str(EXAMPLE / 'server.py')], stdout=subprocess.PIPE, text=True)
        cls.addClassCleanup(cls.stop)
        cls.port = int(cls.server.stdout.readline())

    @classmethod
    def stop(cls):
        cls.server.terminate()
        cls.server.communicate()

    def request(self, method, path, body=None):
        client = HTTPConnection('127.0.0.1', self.port, timeout=60)
        client.request(method, path, body and json.dumps(body))
        with client.getresponse() as response:
            return response.status, json.load(response)

    def test_guarded_one_200_and_one_409_a_hundred_times(self):
        for _ in range(ROUNDS):
            order = self.place()
            url = f'/orders/{order.pk}'
            status, seen = self.request('GET', url)
            self.assertEqual((status, seen), (200, {'status': 'placed', 'version': 1}))

            def cancel(wait):
                wait()
                return self.request('POST', f'{url}/cancel', {'version': seen['version']})

            self.assertEqual(two_at_once(cancel),
                             [(200, {'outcome': 'cancelled'}), (409, {'conflict_ids': [order.pk]})])
            self.assertEqual(self.stock(), 1)


if __name__ == '__main__':
    unittest.main(verbosity=2)
