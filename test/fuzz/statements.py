"""Random statements, for a Schema, and the script of a case: who sends what."""
import re
from random import Random

from schemas import APART, COLUMNS, TRIGGERS, Schema

DDL = re.compile(r'ALTER|CREATE|DROP|TRUNCATE|SELECT (occ\.(enable|disable)|set_trigger|by_hand)')


class Case:
    """One schema and one script. Everything in it follows from its name, the seed."""

    def __init__(self, seed):
        self.seed = seed
        random = Random(seed)
        # Half of the cases are about one thing, which the others hardly reach: rows that two sessions want, and an inlined guard.
        plain = random.random() < 0.5
        schema = Schema(random, plain)
        self.setup, self.version = schema.setup, schema.v
        self.sessions = random.choice((2, 2, 3) if plain else (1, 2, 2, 3))
        # Without it the library is loaded by the first guarded UPDATE, and plans made before have no check.
        self.preload = random.random() < 0.8
        # Rows are listed to who may read them only; the model does not know who may.
        self.hidden = schema.role != 'postgres'
        # What a dump reads would count, and differ.
        self.serializable = random.random() < 0.15
        # Times may count by the millisecond.
        self.coarse = schema.kind == 'time'
        self.with_model = schema.with_model
        self.dumps = ['SELECT id, tableoid::regclass, * FROM t', 'SELECT id, * FROM o']
        # Every index has what its table has.
        self.final_checks = ['''SELECT relname, bt_index_check(c.oid, true) FROM pg_class AS c
            WHERE relkind = 'i' AND relnamespace = 'fuzz'::regnamespace AND relam = 403''']
        self.steps = list(Script(schema, random, self).steps())

    @staticmethod
    def is_ddl(sql):
        return bool(DDL.match(sql))


class Script:
    def __init__(self, schema, random, case):
        self.s, self.random, self.case = schema, random, case
        self.prepared = [[] for _ in range(case.sessions)]
        self.open = [False] * case.sessions
        self.functions = self.inserted = 0
        self.focus = None

    # Pieces of statements -----------------------------------------------------------------------------------------

    def typed(self, value):
        return f'CAST({value} AS {self.s.type})'

    def was_read(self, row='t.id'):
        """The version that this session has read of a row, by the steps that read()."""
        return f"nullif(current_setting('fz.v' || {row}, true), '')::{self.s.type}"

    def version(self, row='t.id', stored=None):
        """What a statement may state."""
        s, random = self.s, self.random
        stored = stored or f't.{s.v}'
        step = {'integer': '1', 'time': "interval '1 hour'", 'uuid': None}[s.kind]
        if s.type == 'double precision':
            step = '3600'
        choices = [(self.was_read(row), 16 if self.focus else 8), (stored, 3), (self.typed(random.choice(s.literals)), 3), ('NULL', 1)]
        # A plan that is older than the library does not tell DEFAULT from what it stands for.
        if self.case.preload:
            choices.append(('DEFAULT', 1))
        if step:
            choices += [(f'{stored} + {step}', 3), (f'{self.was_read(row)} + {step}', 2), (f'{stored} - {step}', 2),
                        (f'{stored} + 5 * {step}', 1)]
        if s.kind == 'time' and s.type in ('timestamptz', 'timestamp'):
            choices += [(f"date_trunc('milliseconds', {stored})", 3), ('now()', 2), ('statement_timestamp()', 1), ("'infinity'", 1)]
        if s.kind == 'uuid':
            choices += [('gen_random_uuid()', 1)]
        return random.choices(*zip(*choices))[0]

    def assignments(self, stated=None, defaults=True):
        s, random = self.s, self.random
        names = random.sample(s.columns, random.randint(0 if stated is None else 1, 2))
        result = [f'{name} = {random.choice(COLUMNS[name][1])}' for name in names]
        if random.random() < 0.04:
            result.append('id = t.id + 10')
        if stated is None:
            stated = random.random() < 0.65
        if stated or not result:
            result.append(f'{s.v} = {self.version()}')
        random.shuffle(result)
        return ', '.join(result if defaults else [r.replace('DEFAULT', '1') if s.kind == 'integer' else r for r in result])

    def where(self):
        random, ids = self.random, self.s.ids
        if self.focus and random.random() < 0.8:
            return f' WHERE t.id = {self.focus}'
        if self.s.role == 'postgres' and random.random() < 0.02:
            # Settings count row by row.
            return f" WHERE t.id <= {random.choice(ids)} AND set_config('occ_lock.bypass', (t.id > 1)::text, true) <> ''"
        return random.choices((f' WHERE t.id = {random.choice(ids)}', f' WHERE t.id <= {random.choice(ids)}',
                               f' WHERE t.id IN ({random.choice(ids)}, {random.choice(ids)})', f' WHERE t.n < {random.randint(1, 6)}',
                               f" WHERE t.id = {random.choice(ids)} AND t.{self.s.v} = {self.was_read('t.id')}", ''),
                              (10, 3, 3, 2, 2, 3))[0]

    def returning(self):
        return self.random.choice(('', f' RETURNING t.id, t.{self.s.v}', ' RETURNING t.id, t.*'))

    def target(self):
        return self.random.choice(self.s.targets)

    # Statements ---------------------------------------------------------------------------------------------------

    def update(self):
        return f'UPDATE {self.target()} AS t SET {self.assignments()}{self.where()}{self.returning()}'

    def update_from(self):
        """Several source rows for one row."""
        rows = ', '.join(f"({self.random.choice(self.s.ids)}, 'f{i}', {self.typed(self.random.choice(self.s.literals))})"
                         for i in range(self.random.randint(1, 4)))
        version = self.random.choice(('s.version', 's.version', f't.{self.s.v}', self.was_read()))
        stated = self.random.choice(('', f', {self.s.v} = {version}', f', {self.s.v} = {version}'))
        return (f'UPDATE {self.target()} AS t SET note = s.note{stated} FROM (VALUES {rows}) AS s (id, note, version) '
                f'WHERE t.id = s.id{self.returning()}')

    def multiple_assignment(self):
        version = self.version().replace('DEFAULT', 'NULL')
        return (f'UPDATE {self.target()} AS t SET (note, {self.s.v}) = (SELECT o.note, {version} FROM o '
                f'WHERE o.id = t.id % 2 + 201){self.where()}{self.returning()}')

    def cte(self):
        s, random = self.s, self.random
        first = f'UPDATE {self.target()} AS t SET {self.assignments()}{self.where()} RETURNING t.id, t.{s.v} AS version'.replace('DEFAULT', 'NULL')
        state = random.choice(('', f', version = {self.typed(random.choice(s.literals))}', ', version = o.version'))
        return f'WITH u AS ({first}) ' + random.choice((
            'SELECT * FROM u', 'SELECT 1 AS unread',
            f"UPDATE o SET note = 'c'{state} FROM u WHERE o.id = u.id + 200 RETURNING o.id, o.version",
            f"UPDATE o SET note = 'c'{state}",
            f", w AS (UPDATE o SET note = 'w'{state} WHERE id < 203 RETURNING id) SELECT u.* FROM u JOIN w ON w.id = u.id + 200",
            f", w AS (UPDATE o SET note = 'w'{state} WHERE id < 203 RETURNING id) {first}"))

    def merge(self):
        s, random = self.s, self.random
        rows = ', '.join(f"({i}, {self.typed(random.choice(s.literals))})" for i in sorted(set(random.choices(s.ids + [50], k=3))))
        version = random.choice(('s.version', f't.{s.v}', self.was_read()))
        actions = [f"WHEN MATCHED THEN UPDATE SET note = 'm', {s.v} = {version}", "WHEN MATCHED AND s.id < 3 THEN UPDATE SET note = 'm2'",
                   f'WHEN MATCHED AND s.id = 3 THEN DELETE', f"WHEN NOT MATCHED THEN INSERT (id, note, n) VALUES (s.id, 'new', 1)"]
        if not self.case.preload:
            # A plan that is older than the library does not tell which action has run.
            del actions[random.randint(0, 1)]
        chosen = [a for a in random.sample(actions, random.randint(1, 3))]
        chosen.sort(key=lambda action: 'AND' not in action)
        return f'MERGE INTO t USING (VALUES {rows}) AS s (id, version) ON t.id = s.id ' + ' '.join(chosen)

    def upsert(self):
        s, random = self.s, self.random
        if s.key not in ('id',):
            return self.update()
        version = random.choice(('', f', {s.v} = excluded.{s.v}', f', {s.v} = t.{s.v}'))
        return (f"INSERT INTO t AS t (id, note, {s.v}) VALUES ({random.choice(s.ids)}, 'up', {random.choice(s.literals)}), "
                f"({random.choice(s.ids + [51])}, 'up2', {random.choice(s.literals)}) ON CONFLICT (id) DO UPDATE "
                f"SET note = excluded.note{version}{self.returning()}")

    def delete(self):
        return f'DELETE FROM {self.target()} AS t{self.where()}' + self.random.choice(('', ' RETURNING t.id'))

    def insert(self):
        # Versions are told apart by their row's id.
        self.inserted += 1
        ids = [60 + self.inserted] + (self.s.ids if self.s.key == 'id' and self.s.shape != 'inheritance' else [])
        return f"INSERT INTO t (id, note, n) VALUES ({self.random.choice(ids)}, 'in', 3)"

    def lock(self):
        return f'SELECT t.id FROM t{self.where()} ORDER BY t.id FOR {self.random.choice(("UPDATE", "NO KEY UPDATE", "SHARE", "KEY SHARE"))}'

    def read(self):
        where = self.random.choice(('', '', f' WHERE id = {self.focus or self.random.choice(self.s.ids)}'))
        return f"SELECT id, set_config('fz.v' || id, {self.s.v}::text, false) FROM t{where} ORDER BY id"

    def parent(self):
        i = self.random.randint(1, 3)
        return self.random.choice((f'UPDATE p SET id = id + 100 WHERE id IN ({i}, {i + 100})', f'DELETE FROM p WHERE id = {i}',
                                   f"UPDATE p SET note = 'p' WHERE id = {i}", f'INSERT INTO p VALUES ({i})'))

    def other(self):
        state = self.random.choice(('', ', version = version', f', version = {self.random.choice(self.s.literals)}'))
        return f"UPDATE o SET note = 'o'{state} WHERE id = {200 + self.random.randint(1, 4)} RETURNING id, version"

    def up_to(self):
        """Rows that get a version that was read of one: whether two times are in the same millisecond is chance."""
        return '=' if self.s.kind == 'time' else '<='

    def prepare(self, number):
        name = f'q{len(self.prepared[number])}'
        body = self.random.choice((
            f'UPDATE t AS t SET note = $1, {self.s.v} = $2 WHERE t.id = $3{self.returning()}',
            f'UPDATE t AS t SET note = $1, n = n + 1 WHERE t.id = $3 AND ($2 IS NULL OR true){self.returning()}',
            f'WITH u AS (UPDATE t AS t SET note = $1, {self.s.v} = $2 WHERE t.id {self.up_to()} $3 RETURNING t.id, t.{self.s.v}) SELECT * FROM u',
            f'UPDATE t AS t SET note = o.note || $1, {self.s.v} = coalesce($2, t.{self.s.v}) FROM o WHERE o.id = t.id + 200 AND t.id {self.up_to()} $3'))
        self.prepared[number].append(name)
        return f'PREPARE {name} (text, {self.s.type}, int) AS {body}'

    def execute(self, number):
        if not self.prepared[number]:
            return self.prepare(number)
        name = self.random.choice(self.prepared[number])
        row = self.focus or self.random.choice(self.s.ids)
        version = self.random.choice((self.was_read(str(row)), self.was_read(str(row)), self.typed(self.random.choice(self.s.literals)), 'NULL'))
        return f"EXECUTE {name} ('e', {version}, {row})"

    def function(self):
        """One that is there already, or a new one."""
        row = self.random.choice(self.s.ids)
        if self.functions and self.random.random() < 0.7:
            call = f'f{self.random.randint(1, self.functions)}({row}, {self.was_read(str(row))})'
            return self.random.choice((f'SELECT {call}', f'SELECT {call}',
                                       f'UPDATE t AS t SET note = {call} WHERE t.id = {row % len(self.s.ids) + 1}'))
        self.functions += 1
        body = self.random.choice((
            f"UPDATE t AS t SET note = 'f', {self.s.v} = $2 WHERE t.id = $1;",
            f"UPDATE t AS t SET note = 'f' WHERE t.id = $1;",
            f"FOR r IN UPDATE t AS t SET n = n + 1, {self.s.v} = $2 WHERE t.id {self.up_to()} $1 RETURNING t.id LOOP RAISE NOTICE 'fuzz: %', r; END LOOP;",
            f"FOR i IN 1..2 LOOP UPDATE t AS t SET note = 'f' || i, {self.s.v} = $2 WHERE t.id = $1; END LOOP;"))
        catch = self.random.choice(('', "EXCEPTION WHEN OTHERS THEN RETURN sqlstate || sqlerrm;"))
        return (f'CREATE FUNCTION f{self.functions}(int, {self.s.type}) RETURNS text LANGUAGE plpgsql {APART} AS $$ '
                f"DECLARE r record; BEGIN {body} RETURN 'done'; {catch} END $$")

    def setting(self):
        choices = ['occ_lock.inline = on', 'occ_lock.inline = on', 'occ_lock.inline = off', 'plan_cache_mode = force_generic_plan',
                   'plan_cache_mode = force_custom_plan', 'plan_cache_mode = auto', 'enable_seqscan = off', 'enable_hashjoin = off',
                   "occ_lock.conflict_sqlstate = '40001'", 'occ_lock.max_reported_rows = 2']
        if self.s.role == 'postgres':
            choices += ['occ_lock.bypass = on', 'occ_lock.bypass = off', 'occ_lock.bypass = off',
                        'session_replication_role = replica', 'session_replication_role = origin', 'session_replication_role = origin']
        return 'SET ' + self.random.choice(('', '', 'LOCAL ')) + self.random.choice(choices)

    def ddl(self, in_transaction):
        s, random = self.s, self.random
        s.added += 1
        name = random.choice(list(TRIGGERS))
        choices = [f'ALTER TABLE t ADD COLUMN added{s.added} int DEFAULT 7', f'ALTER TABLE t DROP COLUMN IF EXISTS added{s.added - 1}',
                   s.trigger(name), f'DROP TRIGGER IF EXISTS "{random.choice(s.used_triggers + [name])}" ON t',
                   f'CREATE INDEX ON t ({s.v})', f'ALTER TABLE t ALTER COLUMN {s.v} DROP NOT NULL', f'ALTER TABLE t ALTER COLUMN {s.v} SET NOT NULL',
                   'ALTER TABLE t ADD CHECK (n < 9)', 'DISCARD PLANS',
                   f'ALTER TABLE t ALTER COLUMN {s.v} SET DEFAULT {s.literals[1]}']
        choices += ['ALTER TABLE t RENAME COLUMN note TO note2', 'ALTER TABLE t RENAME COLUMN note2 TO note',
                    'ALTER TABLE t ADD COLUMN late int GENERATED ALWAYS AS (n + 1) STORED', 'ALTER TABLE t DROP COLUMN IF EXISTS late']
        if not in_transaction:
            choices += [s.enable(), s.enable(), s.enable(), "SELECT occ.disable('t')", "SELECT set_trigger('DISABLE')",
                        "SELECT set_trigger('ENABLE')", "SELECT set_trigger('ENABLE ALWAYS')", "SELECT set_trigger('ENABLE REPLICA')"]
        s.used_triggers.append(name)
        if not s.with_model and random.random() < 0.5:
            return self.only_with_guard()
        return random.choice(choices)

    def only_with_guard(self):
        """What the model can't do, or does otherwise."""
        s, v = self.s, self.s.v
        guard = f"FOR EACH ROW EXECUTE FUNCTION occ.guard({v.strip(chr(34))!r})"
        wider = {'smallint': 'integer', 'integer': 'bigint', 'bigint': 'integer', 'timestamp': 'timestamp(3)',
                 'timestamp(3)': 'timestamp', 'timestamptz': 'timestamptz(3)', 'timestamptz(3)': 'timestamptz'}.get(s.type, 'text')
        return self.random.choice((
            f'ALTER TABLE t ALTER COLUMN {v} TYPE {wider}', f'ALTER TABLE t RENAME COLUMN {v} TO renamed',
            f'ALTER TABLE t RENAME COLUMN renamed TO {v}', f'ALTER TABLE t DROP COLUMN {v}',
            f'ALTER TABLE t ADD COLUMN {v} {s.type}', 'DROP TRIGGER IF EXISTS _occ_guard ON t',
            f'CREATE TRIGGER _occ_guard BEFORE UPDATE ON t {guard}', f'CREATE TRIGGER second BEFORE UPDATE ON t {guard}',
            'DROP TRIGGER IF EXISTS second ON t', f'CREATE TRIGGER third BEFORE UPDATE ON t {guard.replace("ROW", "ROW WHEN (NEW.n > 2)")}',
            f'CREATE OR REPLACE TRIGGER _occ_guard BEFORE UPDATE OF note ON t {guard}', 'DROP TRIGGER IF EXISTS third ON t',
            'REVOKE EXECUTE ON ALL FUNCTIONS IN SCHEMA occ FROM PUBLIC', 'GRANT EXECUTE ON ALL FUNCTIONS IN SCHEMA occ TO PUBLIC',
            'ALTER TABLE t DETACH PARTITION t2', 'ALTER TABLE t ATTACH PARTITION t2 FOR VALUES FROM (2) TO (5)',
            'ALTER TABLE t1 DISABLE TRIGGER _occ_guard', 'ALTER TABLE t1 ENABLE TRIGGER _occ_guard',
            "CREATE RULE r AS ON UPDATE TO t WHERE NEW.n = 4 DO INSTEAD NOTHING", 'DROP RULE IF EXISTS r ON t',
            'ALTER TABLE t ADD COLUMN newest int DEFAULT random() * 0', 'TRUNCATE t', 'CREATE EXTENSION occ_lock',
            'DROP EXTENSION occ_lock CASCADE'))

    # The script ---------------------------------------------------------------------------------------------------

    def transaction(self, number):
        if not self.open[number]:
            self.open[number] = True
            level = 'SERIALIZABLE' if self.case.serializable else self.random.choice(('READ COMMITTED', 'READ COMMITTED', 'REPEATABLE READ'))
            return f'BEGIN ISOLATION LEVEL {level}'
        what = self.random.choice(('COMMIT', 'COMMIT', 'ROLLBACK', 'SAVEPOINT s', 'ROLLBACK TO SAVEPOINT s', 'RELEASE SAVEPOINT s'))
        self.open[number] = 'SAVEPOINT' in what
        return what

    def cursor(self, number):
        if not self.open[number]:
            self.open[number] = True
            yield number, 'BEGIN'
        yield number, f'DECLARE c CURSOR FOR SELECT * FROM t AS t{self.where()}' + self.random.choice(('', ' FOR UPDATE'))
        for _ in range(self.random.randint(1, 2)):
            yield number, 'FETCH c'
            yield number, f'UPDATE t AS t SET {self.assignments()} WHERE CURRENT OF c{self.returning()}'
        yield number, 'CLOSE c'

    def collision(self):
        """One session changes a row, another one comes for it, the first one ends its transaction."""
        random = self.random
        first, second = random.sample(range(self.case.sessions), 2)
        self.focus = random.choice(self.s.ids)
        for number in (first, second):
            if random.random() < 0.7:
                yield number, self.read()
        if not self.open[first]:
            yield first, self.transaction(first)
        elif random.random() < 0.3:
            yield first, 'SAVEPOINT s'
        yield from self.some(first, {'update': 8, 'delete': 2, 'lock': 2, 'execute': 3, 'update_from': 2, 'insert': 1, 'parent': 1})
        yield from self.some(second, {'update': 12, 'execute': 6, 'update_from': 3, 'cte': 3, 'multiple_assignment': 2, 'merge': 2,
                                      'upsert': 2, 'delete': 1, 'function': 3, 'parent': 1})
        self.open[first] = False
        yield first, random.choices(('COMMIT', 'ROLLBACK', 'ROLLBACK TO SAVEPOINT s'), (6, 2, 1))[0]
        yield first, 'COMMIT'
        self.focus = None

    def some(self, number, kinds):
        """One statement of one of these kinds, or a few."""
        random = self.random
        kind = random.choices(list(kinds), list(kinds.values()))[0]
        if kind == 'cursor':
            yield from self.cursor(number)
        elif kind == 'collision':
            yield from self.collision()
        elif kind == 'ddl':
            if self.s.role != 'postgres':
                yield number, 'RESET ROLE'
            yield number, self.ddl(self.open[number])
            if self.s.role != 'postgres' and random.random() < 0.8:
                yield number, 'SET ROLE fuzz_app'
        elif kind in ('prepare', 'execute', 'transaction'):
            yield number, getattr(self, kind)(number)
        else:
            yield number, getattr(self, kind)()

    def steps(self):
        random = self.random
        if self.s.role != 'postgres':
            for number in range(self.case.sessions):
                if random.random() < 0.8:
                    yield number, 'SET ROLE fuzz_app'
        for number in range(self.case.sessions):
            yield number, f"SELECT id, set_config('fz.v' || id, {self.s.v}::text, false) FROM t ORDER BY id"
        kinds = {'update': 22, 'update_from': 5, 'multiple_assignment': 3, 'cte': 4, 'merge': 3, 'upsert': 3, 'delete': 2,
                 'insert': 1, 'lock': 3, 'read': 8, 'other': 2, 'prepare': 2, 'execute': 10, 'function': 5, 'setting': 5,
                 'ddl': 7, 'transaction': 8, 'cursor': 1, 'parent': 3 if 'pid' in self.s.columns else 0,
                 'collision': 12 if self.case.sessions > 1 else 0}
        if self.s.plain:
            kinds.update(collision=40, cte=8, ddl=0, merge=1, upsert=1)
        for _ in range(random.randint(6, 22)):
            yield from self.some(random.randrange(self.case.sessions), kinds)
