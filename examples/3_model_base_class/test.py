import sys
import threading
import unittest
from collections import Counter
from pathlib import Path
from unittest import mock

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
from harness import ExampleTest, in_threads, sql

from django.db import DatabaseError, connection, models, transaction
from django.test.utils import CaptureQueriesContext

import by_hand
import with_occ
from models import ArticleTable
from occ_django import Conflict, conflicts, sqlstate

BY_HAND = (by_hand.Article, by_hand.Page)
WITH_OCC = (with_occ.Article, with_occ.Page)
WRITTEN = 1714564800.25     # the version of the page in schema.sql


def read(model, count=2):
    """The same row, as several clients have read it."""
    return [model.objects.get(pk=1) for _ in range(count)]


def change(row, **values):
    for name, value in values.items():
        setattr(row, name, value)
    row.save()


def stored(model):
    (row,), = sql(f'SELECT row_to_json(t) FROM {model._meta.db_table} AS t WHERE id = 1')
    return row


def enable(preset):
    for table in ('article', 'page'):
        sql(f"SELECT occ.enable('{table}', preset => '{preset}')")


def clock(time):
    """What the clock of the original says."""
    return mock.patch('by_hand.time', **{'time.return_value': time})


class ModelBaseClass(ExampleTest):
    def assert_by_hand_conflict(self, row, **values):
        """The original raises what Django does if no row matches."""
        with self.assertRaisesRegex(DatabaseError, 'did not affect any rows'):
            change(row, **values)

    def assert_conflict(self, row, **values):
        with self.assertRaises(Conflict) as caught:
            change(row, **values)
        self.assertEqual(caught.exception.conflict_ids, [1])
        return caught.exception

    def assert_refused(self, state, function, *arguments, **values):
        with self.assertRaises(DatabaseError) as caught:
            function(*arguments, **values)
        self.assertEqual(sqlstate(caught.exception), state)

    # By hand.

    def check_original(self):
        """What works by hand, and must go on working on the guarded table."""
        for model in BY_HAND:
            first, second = read(model)
            before = stored(model)
            with CaptureQueriesContext(connection) as queries:
                change(first, title='Green tea')
            self.assertNotIn('body', queries[0]['sql'])
            self.assertGreater(stored(model)['version'], before['version'])
            self.assert_by_hand_conflict(second, body='Stir.')
            self.assertEqual((stored(model)['title'], stored(model)['body']), ('Green tea', 'Boil water.'))

    def test_by_hand_a_stale_save_is_refused(self):
        self.disable_guards()
        self.check_original()

    def test_by_hand_other_writes_go_unnoticed(self):
        self.disable_guards()
        for model in BY_HAND:
            row = model.objects.get(pk=1)
            model.objects.update(title='Green tea')
            sql(f"UPDATE {model._meta.db_table} SET title = 'Black tea'")
            change(row, title='Mint tea')
            self.assertEqual(stored(model)['title'], 'Mint tea')

    def test_by_hand_the_second_save_of_an_object_fails(self):
        self.disable_guards()
        for model in BY_HAND:
            row = model.objects.get(pk=1)
            change(row, title='Green tea')
            self.assert_by_hand_conflict(row, title='Mint tea')

    def test_by_hand_a_version_of_0_is_not_checked(self):
        self.disable_guards()
        for model in BY_HAND:
            model.objects.update(version=0)
            first, second = read(model)
            change(first, title='Green tea')
            change(second, title='Mint tea')
            self.assertEqual((stored(model)['title'], stored(model)['version']), ('Mint tea', 0))

    def test_by_hand_a_clock_stands_still(self):
        self.disable_guards()
        first, second = read(by_hand.Page)
        with clock(WRITTEN):
            change(first, title='Green tea')
            change(second, title='Mint tea')
        self.assertEqual(stored(by_hand.Page)['title'], 'Mint tea')

    def test_by_hand_a_clock_goes_back(self):
        self.disable_guards()
        first, second = read(by_hand.Page)
        with clock(WRITTEN - 10):
            change(second, title='Green tea')
        with clock(WRITTEN):
            change(by_hand.Page.objects.get(pk=1), title='Black tea')
        change(first, title='Mint tea')
        self.assertEqual(stored(by_hand.Page)['title'], 'Mint tea')

    def test_by_hand_another_type_fails_at_the_first_save(self):
        class Draft(by_hand.VersionedModel):
            title = models.TextField()
            version = models.TextField(default='a')

            class Meta:
                app_label = 'by_hand'
                db_table = 'draft'
                managed = False

        sql('CREATE TABLE draft (id serial PRIMARY KEY, title text, version text)')
        draft = Draft(title='Tea')
        draft.save()
        with self.assertRaisesRegex(ValueError, "must be an integer or a float, not 'a'"):
            change(draft, title='Green tea')

    # On occ_lock.

    def test_guarded_a_stale_save_conflicts(self):
        for model in WITH_OCC:
            first, second = read(model)
            read_version = second.version
            change(first, title='Green tea')
            conflict = self.assert_conflict(second, title='Mint tea')
            self.assertEqual(conflict.rows, [{'key': {'id': 1}, 'status': 'stale', 'expected': read_version,
                                              'actual': first.version}])
            self.assertEqual(stored(model)['title'], 'Green tea')

    def test_guarded_only_changed_columns_are_written(self):
        article = with_occ.Article.objects.get(pk=1)
        article.title = 'Green tea'
        with CaptureQueriesContext(connection) as queries:
            article.save()
            article.save()
        self.assertEqual([query['sql'] for query in queries], [
            'UPDATE "article" SET "title" = \'Green tea\', "version" = 1 WHERE "article"."id" = 1 RETURNING "version"'])
        self.assertEqual(article.version, 2)

    def test_guarded_other_columns_from_the_same_read_conflict(self):
        for model in WITH_OCC:
            first, second = read(model)
            change(first, title='Green tea')
            self.assert_conflict(second, body='Stir.')
            self.assertEqual(stored(model)['body'], 'Boil water.')

    def test_guarded_two_saves_in_a_row(self):
        for model in WITH_OCC:
            row, other = read(model)
            versions = [row.version]
            for title in ('Green tea', 'Mint tea', 'Black tea'):
                change(row, title=title)
                versions.append(row.version)
            self.assertEqual(stored(model)['version'], row.version)
            self.assertEqual(sorted(set(versions)), versions)
            self.assert_conflict(other, title='White tea')

    def test_guarded_a_new_row(self):
        for model in WITH_OCC:
            row = model(title='Coffee', body='Grind.')
            row.save()
            other = model.objects.get(pk=row.pk)
            change(row, title='Espresso')
            with self.assertRaises(Conflict) as caught:
                change(other, title='Mocha')
            self.assertEqual(caught.exception.conflict_ids, [row.pk])

    def test_guarded_a_version_of_0_is_checked(self):
        for model in WITH_OCC:
            table = model._meta.db_table
            sql(f"INSERT INTO {table} (id, title, body, version) VALUES (7, 'Coffee', 'Grind.', 0)")
            first, second = (model.objects.get(pk=7) for _ in range(2))
            change(first, title='Espresso')
            self.assertGreater(first.version, 0)
            with self.assertRaises(Conflict) as caught:
                change(second, title='Mocha')
            self.assertEqual(caught.exception.conflict_ids, [7])

    def test_guarded_other_writes_are_noticed(self):
        for model in WITH_OCC:
            row, other = read(model)
            model.objects.update(title='Green tea')
            self.assert_conflict(row, title='Mint tea')
            row = model.objects.get(pk=1)
            sql(f"UPDATE {model._meta.db_table} SET title = 'Black tea'")
            self.assert_conflict(row, title='Mint tea')

    def test_guarded_a_time_advances_even_if_the_clock_does_not(self):
        ahead = 4102444800.5    # 2100, and the server's clock will not come there during this test
        sql(f"INSERT INTO page (id, title, body, version) VALUES (7, 'Coffee', 'Grind.', {ahead})")
        first, second = (with_occ.Page.objects.get(pk=7) for _ in range(2))
        change(first, title='Espresso')
        self.assertGreater(first.version, ahead)
        with self.assertRaises(Conflict):
            change(second, title='Mocha')

    def test_guarded_one_of_five_at_once(self):
        for model in WITH_OCC:
            barrier = threading.Barrier(5, timeout=60)

            def one(i):
                row = model.objects.get(pk=1)
                barrier.wait()
                try:
                    change(row, title=f'Tea {i}')
                except Conflict as conflict:
                    return f'conflict on {conflict.conflict_ids}'
                return 'saved'

            self.assertEqual(Counter(in_threads(5, one)), {'saved': 1, 'conflict on [1]': 4})

    def test_guarded_plain_sql(self):
        for table in ('article', 'page'):
            def save(version, **values):
                (column, value), = values.items()
                statement = f'UPDATE {table} SET {column} = %s, version = %s WHERE id = 1 RETURNING version'
                (new,), = sql(statement, value, version)
                return new

            (version,), = sql(f'SELECT version FROM {table} WHERE id = 1')
            second = save(version, title='Green tea')
            save(second, title='Mint tea')
            self.assert_refused('PT409', save, version, body='Stir.')

    def test_guarded_strict_takes_the_class(self):
        enable('strict')
        for model in WITH_OCC:
            first, second = read(model)
            change(first, title='Green tea')
            change(first, title='Mint tea')
            self.assert_conflict(second, body='Stir.')

    def test_guarded_a_deleted_row_conflicts(self):
        for model in WITH_OCC:
            row = model.objects.get(pk=1)
            sql(f'DELETE FROM {model._meta.db_table}')
            self.assert_conflict(row, title='Green tea')

    def test_guarded_after_a_rollback_the_object_is_read_again(self):
        for model in WITH_OCC:
            row = model.objects.get(pk=1)
            before = row.version
            with transaction.atomic():
                change(row, title='Green tea')
                transaction.set_rollback(True)
            self.assertNotEqual(row.version, before)
            row.refresh_from_db()
            self.assertEqual((row.title, row.version), ('Tea', before))
            change(row, title='Mint tea')
            self.assertEqual(stored(model)['title'], 'Mint tea')

    def test_guarded_deferred_fields(self):
        for model in WITH_OCC:
            row, other = model.objects.defer('body').get(pk=1), model.objects.get(pk=1)
            self.assertEqual(row.body, 'Boil water.')
            with CaptureQueriesContext(connection) as queries:
                change(row, title='Green tea')
            self.assertNotIn('body', queries[0]['sql'])
            # What was not read can't be stated.
            with self.assertRaises(KeyError):
                change(model.objects.only('title').get(pk=1), title='Mint tea')

    def test_other_types_are_refused_at_once(self):
        for name in ('text', 'numeric', 'real'):
            sql(f'CREATE TABLE draft (id int PRIMARY KEY, version {name} NOT NULL)')
            with self.assertRaisesRegex(DatabaseError, f'column "version" of type {name} cannot hold a version'):
                sql("SELECT occ.enable('draft')")
            self.assert_refused('42804', sql, "SELECT occ.enable('draft')")
            sql('DROP TABLE draft')

    def test_guarded_read_plus_one_is_no_statement_of_what_was_read(self):
        save = "UPDATE article SET title = %s, version = 1 + 1 WHERE id = 1 RETURNING version"
        self.assertEqual(sql(save, 'Green tea'), [(2,)])
        self.assertEqual(sql(save, 'Mint tea'), [(3,)])

    def test_guarded_read_plus_one_is_one_with_token_next(self):
        sql("SELECT occ.enable('article', token => 'next')")
        save = "UPDATE article SET title = %s, version = 1 + 1 WHERE id = 1 RETURNING version"
        self.assertEqual(sql(save, 'Green tea'), [(2,)])
        self.assert_refused('PT409', sql, save, 'Mint tea')
        self.assert_refused('PT409', sql, "UPDATE article SET title = 'Mint tea', version = 2 WHERE id = 1")

    # The original on the guarded tables.

    def test_guarded_shared_the_original_works(self):
        self.check_original()

    def test_guarded_shared_the_original_notices_other_writes(self):
        for model in BY_HAND:
            row = model.objects.get(pk=1)
            model.objects.update(title='Green tea')
            self.assert_by_hand_conflict(row, title='Mint tea')
            row = model.objects.get(pk=1)
            sql(f"UPDATE {model._meta.db_table} SET title = 'Black tea'")
            self.assert_by_hand_conflict(row, title='Mint tea')

    def test_guarded_shared_the_clock_of_the_original_may_stand_still(self):
        first, second = read(by_hand.Page)
        with clock(WRITTEN):
            change(first, title='Green tea')
            self.assert_by_hand_conflict(second, title='Mint tea')
        self.assertGreater(stored(by_hand.Page)['version'], WRITTEN)

    def test_guarded_the_clock_of_the_original_may_not_go_back(self):
        for preset in ('shared', 'orm', 'strict'):
            enable(preset)
            row = by_hand.Page.objects.get(pk=1)
            with clock(WRITTEN - 10), self.assertRaises(Conflict), conflicts():
                change(row, title='Green tea')
            self.assertEqual(stored(by_hand.Page)['title'], 'Tea')

    def test_guarded_shared_a_version_of_0_is_moved_but_not_checked(self):
        for model in BY_HAND:
            sql(f"INSERT INTO {model._meta.db_table} (id, title, body, version) VALUES (7, 'Coffee', 'Grind.', 0)")
            first, second = (model.objects.get(pk=7) for _ in range(2))
            change(first, title='Espresso')
            self.assertGreater(model.objects.get(pk=7).version, 0)
            change(second, title='Mocha')
            self.assertEqual(model.objects.get(pk=7).title, 'Mocha')

    def test_guarded_shared_the_object_of_the_original_keeps_its_old_version(self):
        for model in BY_HAND:
            row = model.objects.get(pk=1)
            change(row, title='Green tea')
            self.assert_by_hand_conflict(row, title='Mint tea')

    def test_guarded_orm_the_original_works(self):
        enable('orm')
        self.check_original()

    def test_guarded_the_version_that_the_original_sends_is_stored(self):
        for i, preset in enumerate(('shared', 'orm'), 1):
            enable(preset)
            change(by_hand.Article.objects.get(pk=1), title=f'Tea {i}')
            self.assertEqual(stored(by_hand.Article)['version'], 1 + i)
            with clock(WRITTEN + i):
                change(by_hand.Page.objects.get(pk=1), title=f'Tea {i}')
            self.assertEqual(stored(by_hand.Page)['version'], WRITTEN + i)

    def test_guarded_orm_a_version_of_0_stays(self):
        enable('orm')
        for model in BY_HAND:
            sql(f"INSERT INTO {model._meta.db_table} (id, title, body, version) VALUES (7, 'Coffee', 'Grind.', 0)")
            change(model.objects.get(pk=7), title='Espresso')
            self.assertEqual(model.objects.get(pk=7).version, 0)

    def test_guarded_orm_the_clock_of_the_original_may_not_stand_still(self):
        enable('orm')
        first, second = read(by_hand.Page)
        with clock(WRITTEN):
            change(first, title='Green tea')
            change(second, title='Mint tea')
        self.assertEqual(stored(by_hand.Page)['title'], 'Mint tea')

    def test_guarded_orm_raw_sql_with_an_old_version_is_refused(self):
        enable('orm')
        for model in BY_HAND:
            row, other = read(model)
            change(row, title='Green tea')
            self.assert_refused('PT409', sql, f"UPDATE {model._meta.db_table} SET title = 'Mint tea', version = %s",
                                other.version)

    def test_guarded_orm_an_update_without_a_version_goes_unnoticed(self):
        enable('orm')
        for model in BY_HAND:
            row = model.objects.get(pk=1)
            model.objects.update(title='Green tea')
            self.assertEqual(stored(model)['version'], row.version)
            change(row, title='Mint tea')
            self.assertEqual(stored(model)['title'], 'Mint tea')

    def test_guarded_strict_refuses_the_original(self):
        enable('strict')
        for model in BY_HAND:
            self.assert_refused('PT409', change, model.objects.get(pk=1), title='Green tea')


if __name__ == '__main__':
    unittest.main(verbosity=2)
