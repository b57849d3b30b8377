"""Random tables. What later statements need to know of them is in a Schema."""
import re

TYPES = {
    'smallint': ('1', '2', '5', '0', '-1', '32766', '32767'),
    'integer': ('1', '2', '5', '0', '-1', '2147483646', '2147483647'),
    'bigint': ('1', '2', '5', '0', '-1', '9223372036854775806', '9223372036854775807', '9007199254740993'),
    'timestamptz': ("'2020-02-02 02:02:02.123456+00'", "'2020-02-02 02:02:03+00'", "'2100-01-01 00:00:00.123456+00'"),
    'timestamptz(3)': ("'2020-02-02 02:02:02.123+00'", "'2020-02-02 02:02:03+00'", "'2100-01-01 00:00:00.123+00'"),
    'timestamp': ("'2020-02-02 02:02:02.123456'", "'2020-02-02 02:02:03'", "'2100-01-01 00:00:00.123456'"),
    'timestamp(3)': ("'2020-02-02 02:02:02.123'", "'2020-02-02 02:02:03'", "'2100-01-01 00:00:00.123'"),
    'double precision': ('1580608922.25', '1580608923', '4102444800.5'),
    'uuid': tuple(f"'00000000-0000-4000-8000-00000000000{n}'" for n in (1, 2, 3)),
}
WEIGHTS = {'integer': 4, 'bigint': 6, 'smallint': 2}

# Columns beside key and version: definition, and expressions to set it to.
COLUMNS = {
    'note': ('text', ("'a'", "t.note || 'x'", 'upper(t.note)', 't.note')),
    'n': ('int DEFAULT 0', ('t.n + 1', '5', 't.n', 'DEFAULT')),
    'u': ('int UNIQUE', ('1', '2', '7', 't.u', 't.u + 10', 'NULL')),
    'c': ('int CONSTRAINT c_small CHECK (c < 50)', ('10', 't.c + 30', '60', 't.c')),
    'big': ('text', ("repeat('x', 3000)", 't.big', "'small'")),
    'num': ('numeric(10, 2) NOT NULL DEFAULT 1', ('2.5', 't.num', 'NULL', 't.num * 2')),
    'arr': ('int[]', ("'{1,2}'", 't.arr', 't.arr || 3')),
    'flag': ('boolean', ('NOT t.flag', 'true', 't.flag')),
    'j': ('jsonb', ("'{\"a\": 1}'", 't.j')),
    'pid': ('int', ('1', '2', '77', 't.pid', 'NULL')),
}

# Other triggers; what they do is their argument. '_occ_guard' sorts after capitals and before small letters.
TRIGGERS = {
    'A_note': 'BEFORE UPDATE ON {t} FOR EACH ROW EXECUTE FUNCTION act(\'note\')',
    'A_version': 'BEFORE UPDATE ON {t} FOR EACH ROW EXECUTE FUNCTION act(\'version\')',
    'A_skip': 'BEFORE UPDATE ON {t} FOR EACH ROW EXECUTE FUNCTION act(\'skip\')',
    'z_note': 'BEFORE UPDATE ON {t} FOR EACH ROW WHEN (NEW.note IS DISTINCT FROM OLD.note) EXECUTE FUNCTION act(\'note\')',
    'z_when': 'BEFORE UPDATE ON {t} FOR EACH ROW WHEN (NEW.{v} IS DISTINCT FROM OLD.{v}) EXECUTE FUNCTION act()',
    'z_version': 'BEFORE UPDATE ON {t} FOR EACH ROW EXECUTE FUNCTION act(\'version\')',
    'z_skip': 'BEFORE UPDATE ON {t} FOR EACH ROW EXECUTE FUNCTION act(\'skip\')',
    'z_row': 'AFTER UPDATE OR INSERT OR DELETE ON {t} FOR EACH ROW EXECUTE FUNCTION act()',
    'z_row_when': 'AFTER UPDATE ON {t} FOR EACH ROW WHEN (NEW.{v} IS DISTINCT FROM OLD.{v}) EXECUTE FUNCTION act()',
    'z_column': 'AFTER UPDATE OF {v} ON {t} FOR EACH ROW EXECUTE FUNCTION act()',
    'z_statement': 'AFTER UPDATE ON {t} FOR EACH STATEMENT EXECUTE FUNCTION act()',
    'z_before_statement': 'BEFORE UPDATE ON {t} FOR EACH STATEMENT EXECUTE FUNCTION act()',
    'z_before_column': 'BEFORE UPDATE OF {v} ON {t} FOR EACH STATEMENT EXECUTE FUNCTION act()',
    'z_transition': 'AFTER UPDATE ON {t} REFERENCING OLD TABLE AS was NEW TABLE AS becomes FOR EACH STATEMENT '
                    'EXECUTE FUNCTION count_rows()',
    'z_insert': 'BEFORE INSERT OR DELETE ON {t} FOR EACH ROW EXECUTE FUNCTION act()',
    'z_other': 'AFTER UPDATE ON {t} FOR EACH ROW EXECUTE FUNCTION act(\'other\')',
}

BEFORE_ROW = re.compile('BEFORE UPDATE ON .* FOR EACH ROW')

# Notes of the model are kept apart: see model.sql. For the others it is a setting that nobody reads.
APART = ' '.join(f"SET model.{name} = ''" for name in ('refused', 'tolerated', 'named', 'passed', 'warned'))

ACT = '''CREATE FUNCTION act() RETURNS trigger LANGUAGE plpgsql {apart} AS $$
BEGIN
    RAISE NOTICE 'fuzz: % % % %', TG_NAME, TG_WHEN, TG_OP, CASE WHEN TG_LEVEL = 'STATEMENT' THEN 0 WHEN TG_OP = 'DELETE' THEN OLD.id ELSE NEW.id END;
    IF TG_ARGV[0] = 'note' THEN
        NEW.note := coalesce(NEW.note, '') || '+';
    ELSIF TG_ARGV[0] = 'version' AND NEW.id % 2 = 0 THEN
        NEW.{v} := {changed};
    ELSIF TG_ARGV[0] = 'skip' AND NEW.id = 3 THEN
        RETURN NULL;
    ELSIF TG_ARGV[0] = 'other' THEN
        UPDATE o SET note = 'by trigger' WHERE id = 201;
    END IF;
    RETURN coalesce(NEW, OLD);
END $$'''

COUNT_ROWS = '''CREATE FUNCTION count_rows() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE NOTICE 'fuzz: % rows were, % are', (SELECT count(*) FROM was), (SELECT count(*) FROM becomes);
    RETURN NULL;
END $$'''

# The guard as a migration would attach it; needs no key. The model has its own.
BY_HAND = '''CREATE FUNCTION by_hand(relation regclass, version_column text, VARIADIC options text[]) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    EXECUTE format('DROP TRIGGER IF EXISTS _occ_guard ON %s', relation);
    EXECUTE format('CREATE TRIGGER _occ_guard BEFORE UPDATE%s ON %s FOR EACH ROW EXECUTE FUNCTION occ.guard(%L%s)',
        CASE WHEN 'deletes=checked' = ANY (options) THEN ' OR DELETE' END, relation, version_column,
        (SELECT string_agg(format(', %L', o), '') FROM unnest(options) AS o));
END $$'''

# The guard's trigger; in the model it is two.
SET_TRIGGER = '''CREATE FUNCTION set_trigger(what text, relation regclass = 't') RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    name text;
BEGIN
    FOR name IN SELECT tgname FROM pg_trigger WHERE tgrelid = relation AND tgname ~ '^_occ_guard' LOOP
        EXECUTE format('ALTER TABLE %s %s TRIGGER %I', relation, what, name);
    END LOOP;
END $$'''


class Schema:
    """A plain one has nothing that keeps its guard from being inlined."""

    def __init__(self, random, plain):
        self.random, self.plain = random, plain
        self.type = random.choices(list(TYPES), [WEIGHTS.get(name, 1) for name in TYPES])[0]
        self.kind = {'uuid': 'uuid'}.get(self.type, 'integer' if 'int' in self.type else 'time')
        self.literals = TYPES[self.type]
        self.v = random.choices(('version', '"Row version"'), (9, 1))[0]
        self.shape = random.choices(('plain', 'by n', 'by id', 'by version', 'inheritance'),
                                    (6, 5, 2, 1, 4) if plain else (12, 3, 2, 1, 2))[0]
        if self.shape == 'by version' and self.kind != 'integer':
            self.shape = 'by n'
        self.role = random.choices(('postgres', 'app', 'app with policies'), (8, 1, 2))[0]
        self.with_model = self.chance(0.8)
        self.setup = []
        self.tables()
        self.triggers()
        self.rows()

    def chance(self, probability):
        return self.random.random() < probability

    def tables(self):
        random = self.random
        others = random.sample(list(COLUMNS), random.randint(2, 5))
        self.columns = ['note', 'n'] + [name for name in others if name not in ('note', 'n')]
        if self.shape not in ('plain', 'inheritance'):
            self.columns = [name for name in self.columns if name != 'u']
        nullable = self.shape != 'by version' and self.chance(0.4)
        default = self.literals[0]
        definitions = [f'{name} {COLUMNS[name][0]}' for name in self.columns]
        definitions += [f'id int NOT NULL', f'{self.v} {self.type} {"" if nullable else "NOT NULL"} DEFAULT {default}']
        self.nullable = nullable
        self.gone = [f'gone{i}' for i in range(random.choice((0, 0, 1, 2)))]
        definitions += [f'{name} int' for name in self.gone]
        self.generated = None
        if self.chance(0.16) and not self.plain:
            self.generated = random.choice(('n * 2', f'({self.v})::text' if self.kind == 'integer' else 'n + 1'))
            definitions.append(f'g {"text" if "text" in self.generated else "int"} GENERATED ALWAYS AS ({self.generated}) STORED')
        random.shuffle(definitions)

        self.key = {'by n': random.choice(('id, n', '')), 'by version': f'id, {self.v}'}.get(
            self.shape, random.choices(('id', 'id, note', ''), (8, 1, 1))[0])
        if self.shape == 'inheritance':
            self.key = 'id'
        body = ', '.join(definitions)
        by = {'by n': 'n', 'by id': 'id', 'by version': self.v}.get(self.shape)
        self.setup.append(f'CREATE TABLE t ({body})' + (f' PARTITION BY RANGE ({by})' if by else ''))
        self.targets = ['t'] * 6
        if by:
            shuffled = ', '.join(sorted(definitions))
            self.setup += ['CREATE TABLE t1 PARTITION OF t FOR VALUES FROM (MINVALUE) TO (2)',
                           f'CREATE TABLE t2 (lost int, {shuffled})', 'ALTER TABLE t2 DROP COLUMN lost',
                           'ALTER TABLE t ATTACH PARTITION t2 FOR VALUES FROM (2) TO (5)',
                           'CREATE TABLE t3 PARTITION OF t DEFAULT']
            self.targets += ['t1', 't2']
        if self.shape == 'inheritance':
            self.setup.append(f'CREATE TABLE t1 (more int) INHERITS (t)')
            self.targets += ['t1', 'ONLY t']
        self.setup += [f'ALTER TABLE t DROP COLUMN {name}' for name in self.gone]
        for table in ('t', 't1') if self.shape == 'inheritance' else ('t',):
            if self.key:
                self.setup.append(f'ALTER TABLE {table} ADD PRIMARY KEY ({self.key})')
        if self.chance(0.3):
            self.setup.append(f'CREATE INDEX ON t ({self.v})')
        if self.chance(0.1) and not by:
            self.setup.append(f'CREATE UNIQUE INDEX ON t ({self.v}, id)')
        if self.chance(0.1):
            self.setup.append('CREATE INDEX ON t (note)')
        if self.chance(0.1) and self.kind == 'integer':
            self.setup.append(f'ALTER TABLE t ADD CHECK ({self.v} <> 3)')

        self.setup += [f'CREATE TABLE o (id int PRIMARY KEY, note text, version {self.type} DEFAULT {default})',
                       'CREATE TABLE p (id int PRIMARY KEY, note text)', 'INSERT INTO p VALUES (1), (2), (3)',
                       f'INSERT INTO o SELECT 200 + i, \'o\' FROM generate_series(1, 4) AS i']
        if 'pid' in self.columns:
            self.setup.append('ALTER TABLE t ADD FOREIGN KEY (pid) REFERENCES p ON UPDATE CASCADE ON DELETE '
                              + random.choice(('CASCADE', 'SET NULL', 'SET DEFAULT')))
        if self.chance(0.2):
            self.setup.append('CREATE VIEW v AS SELECT * FROM t' + random.choice(
                ('', ' WHERE n < 6', ' WHERE n < 6 WITH CHECK OPTION')))
            self.targets += ['v', 'v']

    def enable(self, table='t'):
        """A call of occ.enable() with random options."""
        random = self.random
        preset = random.choices(('shared', 'strict', 'orm'), (5, 2, 2))[0]
        options = {'preset': preset}
        tokens = ['read', 'auto', 'advance'] + ['next'] * (self.kind == 'integer')
        for name, values in (('token', tokens), ('echo', ('bump', 'keep')), ('unstated', ('bump', 'keep', 'warn', 'reject'))):
            if self.chance(0.2):
                options[name] = random.choice(values)
        options['deletes'] = 'checked' if self.chance(0.2) and not (self.plain and self.shape.startswith('by')) else 'allow'
        # The model forgets the warnings of a statement that fails, which two guards of one tree could make it do.
        if self.chance(0.16) and not self.plain and not (self.with_model and self.shape == 'inheritance'):
            options['enforce'] = 'warn'
        if self.chance(0.16) and table == 't' and not self.plain:
            options['ignore'] = random.choice(('{n}', '{n,note}'))
        if self.kind == 'time' and self.chance(0.15) and self.type != 'double precision':
            options['time_precision'] = 'ms'
        if table == 't' and self.shape == 'by version':
            options['key'] = '{id}'
        elif table == 't' and self.key and self.v not in self.key and self.chance(0.1):
            options['key'] = '{' + self.key + '}'
        version = self.v.strip('"') if table in ('t', 't1') else 'version'
        if table == 't' and not self.key or self.shape != 'inheritance' and self.chance(0.1):
            return f"SELECT by_hand('{table}', '{version}', " + ', '.join(f"'{k}={v}'" for k, v in options.items()) + ')'
        return f"SELECT occ.enable('{table}', '{version}', " + ', '.join(f"{k} => '{v}'" for k, v in options.items()) + ')'

    def trigger(self, name):
        return f'CREATE TRIGGER "{name}" ' + TRIGGERS[name].format(t='t', v=self.v)

    def triggers(self):
        changed = {'integer': f'OLD.{self.v} + 1', 'uuid': f'OLD.{self.v}', 'time': f'OLD.{self.v}'}[self.kind]
        self.setup += [ACT.format(apart=APART, v=self.v, changed=changed), COUNT_ROWS, SET_TRIGGER]
        kinds = [name for name, text in TRIGGERS.items() if not (self.plain and BEFORE_ROW.match(text))]
        names = self.random.sample(kinds, self.random.choices((0, 1, 2), (6, 3, 1))[0])
        self.used_triggers = names
        early = self.chance(0.5)
        if early:
            self.setup.append(self.enable())
        for name in names:
            self.setup.append(self.trigger(name))
        if not early:
            self.setup.append(self.enable())
        # A guard that does not see all updates, which the model's can't do.
        if not self.with_model and self.chance(0.4):
            when = self.random.choice(('{0} ON t FOR EACH ROW WHEN (NEW.n > 2)', '{0} OF note ON t FOR EACH ROW', '{0} OF n, {1} ON t FOR EACH ROW'))
            self.setup += ['DROP TRIGGER IF EXISTS _occ_guard ON t', 'CREATE TRIGGER _occ_guard BEFORE ' + when.format('UPDATE', self.v)
                           + f""" EXECUTE FUNCTION occ.guard('{self.v.strip('"')}')"""]
        # Tables of one tree whose guards differ.
        if self.shape == 'inheritance' and self.chance(0.4):
            self.setup.append(self.enable('t1'))
        elif self.shape != 'plain' and self.chance(0.15):
            self.setup.append(f"SELECT set_trigger('DISABLE', '{self.random.choice(('t1', 't2') if self.shape.startswith('by') else ('t1',))}')")
        if self.chance(0.7):
            self.setup.append(self.enable('o'))

    def rows(self):
        random = self.random
        self.ids = list(range(1, random.choice((3, 5, 8)) + 1))
        for i in self.ids:
            version = random.choice(self.literals[:-1]) if self.chance(0.85) else random.choice(self.literals)
            if self.nullable and self.chance(0.1):
                version = 'NULL'
            elif self.kind == 'time' and self.chance(0.07):
                version = "'infinity'"
            values = {'id': i, self.v: version, 'note': f"'n{i}'", 'n': random.randint(0, 5)}
            for name, value in (('u', i), ('c', 10), ('pid', random.randint(1, 3)), ('flag', 'true'), ('arr', "'{0}'")):
                if name in self.columns:
                    values[name] = value
            table = 't1' if self.shape == 'inheritance' and i % 3 == 0 else 't'
            self.setup.append(f'INSERT INTO {table} ({", ".join(values)}) VALUES ({", ".join(map(str, values.values()))})')
        self.added = 0
        if self.chance(0.2):
            self.setup.append('ALTER TABLE t ADD COLUMN added0 int DEFAULT 7')
            self.added = 1
        if self.role != 'postgres':
            self.setup += ['GRANT USAGE, CREATE ON SCHEMA fuzz TO fuzz_app',
                           'GRANT SELECT, INSERT, DELETE ON ALL TABLES IN SCHEMA fuzz TO fuzz_app',
                           random.choice(('GRANT UPDATE ON ALL TABLES IN SCHEMA fuzz TO fuzz_app',
                                          f'GRANT UPDATE (note, n) ON t TO fuzz_app',
                                          f'GRANT UPDATE (note, n, {self.v}) ON t TO fuzz_app'))]
        if self.role == 'app with policies':
            self.setup += ['ALTER TABLE t ENABLE ROW LEVEL SECURITY',
                           'CREATE POLICY reading ON t FOR SELECT TO fuzz_app USING (id <> 2)',
                           'CREATE POLICY inserting ON t FOR INSERT TO fuzz_app WITH CHECK (true)',
                           'CREATE POLICY deleting ON t FOR DELETE TO fuzz_app USING (true)',
                           'CREATE POLICY updating ON t FOR UPDATE TO fuzz_app USING (true) WITH CHECK (n < 6)']
