import sys
import unittest
from collections import Counter
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
from harness import ExampleTest, in_processes, process_barrier, sql

import by_hand
import with_occ
from occ_django import Conflict, conflicts


def all_five(change):
    """Five processes read the row, and go on only when all have; Counter of what they return."""
    barrier = process_barrier(5)

    def one(i):
        try:
            with conflicts():
                return change(1, 1, barrier.wait) or 'done'
        except Conflict as conflict:
            return f'conflict on {conflict.conflict_ids}'

    return Counter(in_processes(5, one))


class FiveProcesses(ExampleTest):
    def test_by_hand_one_succeeds_if_everybody_stamps(self):
        self.disable_guards()
        self.assertEqual(all_five(by_hand.buy), {'bought': 1, 'conflict': 4})

    def test_by_hand_sells_five_times_if_nobody_stamps(self):
        self.disable_guards()
        self.assertEqual(all_five(by_hand.buy_without_stamp), {'bought': 5})
        self.assertEqual(sql('SELECT stock FROM product'), [(9,)])

    def test_by_hand_save_overwrites(self):
        self.disable_guards()
        self.assertEqual(all_five(by_hand.restock_without_check), {'done': 5})
        self.assertEqual(sql('SELECT stock FROM product'), [(11,)])

    def test_guarded_save_does_not_overwrite(self):
        self.assertEqual(all_five(by_hand.restock_without_check), {'done': 1, 'conflict on [1]': 4})
        self.assertEqual(sql('SELECT stock FROM product'), [(11,)])

    def test_guarded_the_stamping_original_is_as_before(self):
        self.assertEqual(all_five(by_hand.buy), {'bought': 1, 'conflict': 4})
        self.assertEqual(sql('SELECT stock FROM product'), [(9,)])

    def test_guarded_the_original_without_a_stamp_is_mended(self):
        self.assertEqual(all_five(by_hand.buy_without_stamp), {'bought': 1, 'conflict': 4})

    def test_guarded_one_save_succeeds_and_four_conflict(self):
        self.assertEqual(all_five(with_occ.buy), {'done': 1, 'conflict on [1]': 4})
        self.assertEqual(sql('SELECT stock FROM product'), [(9,)])

    def test_guarded_plain_sql(self):
        def buy(product_id, amount, has_read):
            (stock, read_at), = sql('SELECT stock, updated_at FROM product WHERE id = %s', product_id)
            has_read()
            sql('UPDATE product SET stock = %s, updated_at = %s WHERE id = %s', stock - amount, read_at, product_id)

        self.assertEqual(all_five(buy), {'done': 1, 'conflict on [1]': 4})


if __name__ == '__main__':
    unittest.main(verbosity=2)
