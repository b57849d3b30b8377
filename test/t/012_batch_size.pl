# Batches that are large, many, of many shapes, interrupted, or called by triggers: 100,000 rows in one call take memory
# in proportion and give it back; plans are kept, but not without limit; nothing is left of a batch that failed.

use strict;
use warnings FATAL => 'all';

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $many = 100_000;
my $tenth = $many / 10;
my $bound = 128 * 1024;    # kB
my $kept_plans = 128;      # at most, in a session
my $slack = 64 * 1024;     # bytes: PostgreSQL itself keeps some for each command of a transaction
my $has_proc = -r '/proc/self/status';

my $node = PostgreSQL::Test::Cluster->new('batch_size');
$node->init;
$node->append_conf('postgresql.conf', "fsync = off\nfull_page_writes = off\nmax_wal_size = 4GB\nautovacuum = off");
$node->start;
$node->safe_psql(
    'postgres', qq{
    CREATE EXTENSION occ_lock;
    CREATE TABLE big (id int PRIMARY KEY, value int, note text, version bigint NOT NULL DEFAULT 1);
    INSERT INTO big SELECT id, id, 'row ' || id FROM generate_series(1, $many) AS id;
    SELECT occ.enable('big');
    CREATE TABLE input AS
        SELECT size, jsonb_agg(to_jsonb(b) ORDER BY id DESC) AS rows,
            jsonb_agg(to_jsonb(b) || '{"version": 7}' ORDER BY id DESC) AS stale,
            jsonb_agg(to_jsonb(b) || jsonb_build_object('id', -id) ORDER BY id DESC) AS missing
        FROM (VALUES ($tenth), ($many)) AS s (size) JOIN big AS b ON id <= size GROUP BY 1;
    ANALYZE big;
});

sub session
{
    return $node->background_psql('postgres', on_error_stop => 0);
}

# Run a statement in a session.  Returns what it prints, and its errors.
sub run_sql
{
    my ($session, $sql) = @_;
    $session->{stderr} = '';
    my $stdout = $session->query($sql);
    return join "\n", grep { $_ ne '' } $stdout, $session->{stderr};
}

# The memory that a session has, in bytes.
sub memory
{
    my ($session) = @_;
    return run_sql($session, 'SELECT sum(total_bytes) FROM pg_backend_memory_contexts;');
}

# How many plans a session keeps for us.
sub plans
{
    my ($session) = @_;
    return run_sql(
        $session,
        q{SELECT count(*) FROM pg_backend_memory_contexts
        WHERE name = 'CachedPlanSource' AND ident LIKE '%occ_rows%';});
}

# What a session has in memory of batches.  There should be none between statements, whatever became of them.
sub left
{
    my ($session) = @_;
    return run_sql($session, q{SELECT name FROM pg_backend_memory_contexts WHERE name LIKE 'occ\_lock%';});
}

# The most virtual memory that a backend has had, in kB.  Shared memory is in it from the start, used or not.
sub peak
{
    my ($pid) = @_;
    return 0 if !$has_proc;
    my ($kilobytes) = slurp_file("/proc/$pid/status") =~ /^VmPeak:\s+(\d+) kB/m;
    return $kilobytes;
}

# Run a call in a new session, and take it back.  Returns its rows, counted; the table's; and how much the peak has
# grown.
sub measure
{
    my ($call, $size) = @_;
    my $session = session();
    my $pid = $session->query_safe('SELECT pg_backend_pid();');

    run_sql($session, q{SELECT FROM occ.check('big', '[]');});
    my $before = peak($pid);
    my $returned = run_sql(
        $session, qq{
        BEGIN;
        SELECT status, version, count(*), bool_and(abs((key->>'id')::bigint) = size - place + 1) AS "in order"
        FROM input, $call WITH ORDINALITY AS r (key, status, version, place) WHERE size = $size GROUP BY 1, 2;});
    my $growth = peak($pid) - $before;
    my $stored = run_sql($session, q{SELECT version, count(*) FROM big GROUP BY 1 ORDER BY 1 DESC; ROLLBACK;});
    is(left($session), '', "$call, $size rows: nothing is left in memory");
    $session->quit;
    return ($returned, $stored, $growth);
}

# Each function with all rows, and what it comes to if it has only a tenth of them.
foreach my $case (
    # The call; what it returns of each row; the version that each row has then, unless it is gone.
    [ q{occ.check('big', rows)}, 'checked|1', '1' ],
    [ q{occ.update('big', rows)}, 'updated|2', '2' ],
    [ q{occ.update_safely('big', rows, '{"note": "x"}')}, 'updated|2', '2' ],
    [ q{occ.update_safely('big', rows, '{"note": "x"}', '{value, note}')}, 'updated|2', '2' ],
    [ q{occ.touch('big', rows)}, 'updated|2', '2' ],
    [ q{occ.delete('big', rows)}, 'deleted|', undef ],
    [ q{occ.update('big', stale, 'skip')}, 'stale|1', '1' ],
    [ q{occ.delete('big', missing, 'skip')}, 'missing|', '1' ])
{
    my ($call, $result, $version) = @$case;
    my (undef, undef, $small) = measure($call, $tenth);
    my ($returned, $stored, $growth) = measure($call, $many);

    is($returned, "$result|$many|t", '... every row has its status and version, in the order of the input');
    is($stored, defined $version ? "$version|$many" : '', '... and so it is in the table');
  SKIP: {
        skip 'needs /proc', 2 if !$has_proc;
        cmp_ok($growth, '<', 2 * $small * $many / $tenth, '... memory is linear') or diag "$small kB, $growth kB";
        cmp_ok($growth, '<', $bound, '... and within bounds') or diag "$growth kB";
    }
}

# As many conflicts, as one error.
my $session = session();
my $conflict = run_sql($session, qq{SELECT count(*) FROM input, occ.update('big', stale) WHERE size = $many;});
like($conflict, qr/^psql:<stdin>:\d+: ERROR:  optimistic lock conflict on $many rows of "big"$/m, "$many conflicts");
is(left($session), '', '... leave nothing in memory');

# Again and again, in one transaction and in several, the session does not grow.
sub thousand
{
    my ($i) = @_;
    return '(SELECT jsonb_agg(to_jsonb(b) ORDER BY random()) FROM big AS b '
      . 'WHERE id BETWEEN ' . (1000 * $i + 1) . ' AND ' . 1000 * ($i + 1) . ')';
}
my @functions = (
    q{occ.check('big', ROWS)},
    q{occ.update('big', ROWS)},
    q{occ.update_safely('big', ROWS, '{"note": "y"}', '{value}')},
    q{occ.touch('big', ROWS)});
my @each = map { my $rows = thousand($_); map { "SELECT FROM $_;\n" =~ s/ROWS/$rows/r } @functions } 0 .. 51;
foreach my $case ([ 'one transaction', 'BEGIN;', 'COMMIT;' ], [ 'several transactions', '', '' ])
{
    my ($name, $begin, $end) = @$case;

    run_sql($session, "VACUUM big; $begin @each[0 .. 7]");
    my $before = memory($session);
    is(run_sql($session, "@each[8 .. $#each]"), '', "200 batches of 1000 rows in $name");
    cmp_ok(memory($session) - $before, '<', $slack, '... take no memory for long');
    is(left($session), '', '... nor do they leave any contexts');
    run_sql($session, $end);
}
cmp_ok(plans($session), '<', 10, '... the plans are as few as the statements');

# Batches that fail leave nothing, wherever the error is caught, and hold on to no plan.
run_sql($session, 'ALTER TABLE big ADD CHECK (value > 0);');
my $thousand = thousand(0);
my $update = $functions[1] =~ s/ROWS/$thousand/r;
my $refused = qq{occ.update('big', $thousand || '{"id": 1001, "version": 0}')};
my $violation = q{occ.update('big',
    '[{"id": 99001, "version": 1, "value": 1}, {"id": 99002, "version": 1, "value": 0}]')};
my $caught = qq{
    DO \$\$
    DECLARE
        total bigint = 0;
        states text[] = '{}';
    BEGIN
        FOR i IN 1 .. 200 LOOP
            IF i IN (20, 200) THEN
                SELECT sum(total_bytes) - total INTO total FROM pg_backend_memory_contexts;
            END IF;
            BEGIN
                PERFORM FROM $refused;
            EXCEPTION WHEN SQLSTATE 'PT409' THEN
                states[1] = SQLSTATE;
            END;
            BEGIN
                PERFORM FROM $violation;
            EXCEPTION WHEN check_violation THEN
                states[2] = SQLSTATE;
            END;
        END LOOP;
        RAISE NOTICE '% %', states, total < $slack;
        RAISE NOTICE '%', (SELECT count(*) FROM pg_backend_memory_contexts WHERE name LIKE 'occ\\_lock%');
    END \$\$;};
like(run_sql($session, $caught), qr/NOTICE:  \{PT409,23514\} t\n.*NOTICE:  0$/, 'errors caught in PL/pgSQL: no growth');
is(left($session), '', '... nothing is left');
foreach my $call ($refused, $violation)
{
    like(
        run_sql($session, "BEGIN; SAVEPOINT s; SELECT FROM $call; ROLLBACK TO s;"),
        qr/ERROR:  (optimistic lock conflict|new row for relation)/, 'an error in a savepoint');
    is(left($session), '', '... leaves nothing after ROLLBACK TO');
    is(run_sql($session, "SELECT status, count(*) FROM $update GROUP BY 1; ROLLBACK;"),
        'updated|1000', '... and the next call works');
}

# A thousand rows with 300 sets of columns: each is another plan.
my $columns = 9;
my $sets = 300;
my $bits = "generate_series(1, $columns) AS c WHERE (id % $sets + 1) & (1 << (c - 1)) <> 0";
my $shapes = "(SELECT jsonb_agg(jsonb_build_object('id', id, 'version', version) || "
  . "(SELECT jsonb_object_agg('c' || c, id) FROM $bits)) FROM wide)";
$node->safe_psql(
    'postgres',
    'CREATE TABLE wide (id int PRIMARY KEY, ' . join(', ', map { "c$_ int" } 1 .. $columns) . ');'
      . q{SELECT occ.enable('wide'); INSERT INTO wide (id) SELECT generate_series(1, 1000)});
is(run_sql($session, "SELECT status, version, count(*) FROM occ.update('wide', $shapes) GROUP BY 1, 2;"),
    'updated|2|1000', "$sets sets of columns in a batch");
is( run_sql(
        $session,
        q{SELECT count(*) FROM wide AS w, jsonb_each(to_jsonb(w) - 'id' - 'version') AS v (name, value) }
          . q{WHERE (value = 'null') <> ((id % 300 + 1) & (1 << (right(name, 1)::int - 1)) = 0) }
          . q{OR value NOT IN ('null', to_jsonb(id));}),
    '0', '... each column is set where it was given, and nowhere else');
is(plans($session), $kept_plans, '... as many plans are kept as may be');
my $before = memory($session);
run_sql($session, "SELECT FROM occ.update('wide', $shapes);");
cmp_ok(memory($session) - $before, '<', $before / 10, '... and again: they take no more memory');
is(plans($session), $kept_plans, '... nor are there more of them');
run_sql($session,
    'ALTER TABLE wide ADD CHECK (coalesce(' . join(', ', map { "c$_" } 1 .. $columns) . ') <= 1000);');
my $failing = qq{
    DO \$\$
    BEGIN
        FOR i IN 1 .. 300 LOOP
            BEGIN
                PERFORM FROM occ.update('wide', (
                    SELECT jsonb_build_object('id', id, 'version', version) ||
                        (SELECT jsonb_object_agg('c' || c, 1001) FROM $bits) FROM wide WHERE id = i));
                RAISE 'not refused';
            EXCEPTION WHEN check_violation THEN
                NULL;
            END;
        END LOOP;
    END \$\$;};
is(run_sql($session, $failing), '', 'each of them fails');
is(plans($session), $kept_plans, '... the plans are as many');
run_sql($session, q{SELECT FROM occ.update('wide', '[{"id": 1, "version": 3, "c1": 1, "c9": 1}]');});
is( run_sql($session,
        q{SELECT count(*) FROM pg_backend_memory_contexts
        WHERE name = 'CachedPlanSource' AND ident LIKE '%c1 = i.c1, c9%';}),
    '1', '... and still make room for another');

# Somebody else holds a row in the middle of a batch: it waits, and is told not to.
my $other = session();
my $pid = $session->query_safe('SELECT pg_backend_pid();');
my $waits = "SELECT wait_event_type = 'Lock' FROM pg_stat_activity WHERE pid = $pid";
foreach my $case (
    # What cancels it, from outside or by a setting, and what it is told.
    [ 'pg_cancel_backend()', "SELECT pg_cancel_backend($pid);", '', 'user request' ],
    [ 'statement_timeout', '', q{SET LOCAL statement_timeout = '200ms';}, 'statement timeout' ],
    [ 'lock_timeout', '', q{SET LOCAL lock_timeout = '20ms';}, 'lock timeout' ])
{
    my ($name, $cancel, $set, $reason) = @$case;

    run_sql($other, 'BEGIN; SELECT FROM big WHERE id = 500 FOR UPDATE;');
    run_sql($session, "BEGIN; SAVEPOINT s; $set");
    $session->query_until(qr/now/, "\\echo now\nSELECT FROM $update;\n");
    if ($cancel)
    {
        $node->poll_query_until('postgres', $waits) or die 'the batch does not wait';
        run_sql($other, $cancel);
    }
    $session->query('ROLLBACK TO s;');
    like($session->{stderr}, qr/ERROR:  canceling statement due to $reason/, "$name in a batch that waits");
    is(left($session), '', '... leaves nothing in memory');
    is(run_sql($other, q{SELECT count(*) FROM (SELECT FROM big FOR UPDATE SKIP LOCKED) AS b;}),
        $many, '... and no row locked');
    run_sql($other, 'ROLLBACK;');
    is(run_sql($session, "SELECT status, count(*) FROM $update GROUP BY 1; COMMIT;"),
        'updated|1000', '... and the next call works');
}
$_->quit foreach ($session, $other);

# A trigger that calls them for another table: 1000 rows, 2000 calls.
$session = session();
$node->safe_psql(
    'postgres', q{
    CREATE TABLE parent (id int PRIMARY KEY, total int NOT NULL DEFAULT 0);
    CREATE TABLE child (id int PRIMARY KEY, parent int REFERENCES parent, amount int NOT NULL DEFAULT 0);
    SELECT occ.enable('parent'), occ.enable('child');
    INSERT INTO parent (id) SELECT generate_series(1, 10);
    INSERT INTO child SELECT i, i % 10 + 1 FROM generate_series(1, 1000) AS i;
    CREATE FUNCTION add_up() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        PERFORM FROM occ.update('parent', (
            SELECT to_jsonb(p) || jsonb_build_object('total', total + NEW.amount - OLD.amount)
            FROM parent AS p WHERE id = NEW.parent));
        PERFORM FROM occ.touch('parent', (SELECT to_jsonb(p) FROM parent AS p WHERE id = NEW.parent));
        RETURN NULL;
    END $$;
    CREATE TRIGGER add_up AFTER UPDATE ON child FOR EACH ROW EXECUTE FUNCTION add_up();
});
my $children = q{(SELECT jsonb_agg(to_jsonb(c) || '{"amount": 3}') FROM child AS c)};
is(run_sql($session, "SELECT status, version, count(*) FROM occ.update('child', $children) GROUP BY 1, 2;"),
    'updated|2|1000', 'a trigger calls occ.update() and occ.touch() for another table');
is(run_sql($session, 'SELECT total, version, count(*) FROM parent GROUP BY 1, 2;'),
    '300|201|10', '... once a row each');
is(left($session), '', '... and nothing is left');
cmp_ok(plans($session), '<', 10, '... the plans are as few as the statements');

# ... and for its own table, again and again, each time with another column: more plans are running than may be kept.
my $deep = $kept_plans + 12;
$node->safe_psql(
    'postgres',
    'CREATE TABLE chain (id int PRIMARY KEY, ' . join(', ', map { "c$_ int" } 1 .. $deep) . ');' . qq{
    SELECT occ.enable('chain');
    INSERT INTO chain (id) SELECT generate_series(1, $deep);
    CREATE FUNCTION go_on() RETURNS trigger LANGUAGE plpgsql AS \$\$
    BEGIN
        PERFORM FROM occ.update('chain', (
            SELECT jsonb_build_object('id', id, 'version', version, 'c' || id, id) FROM chain WHERE id = NEW.id + 1))
        WHERE NEW.id < $deep;
        RETURN NULL;
    END \$\$;
    CREATE TRIGGER go_on AFTER UPDATE ON chain FOR EACH ROW EXECUTE FUNCTION go_on();
});
foreach my $time (1 .. 2)
{
    is(run_sql($session, qq{SELECT * FROM occ.update('chain', '{"id": 1, "version": $time, "c1": 1}');}),
        '{"id": 1}|updated|' . ($time + 1), "a trigger calls occ.update() for its own table, $deep deep");
    is( run_sql(
            $session, q{
            SELECT version, count(*), count(*) FILTER (WHERE to_jsonb(c)->('c' || id) = to_jsonb(id)),
                sum((SELECT count(*) FROM jsonb_object_keys(jsonb_strip_nulls(to_jsonb(c)))))
            FROM chain AS c GROUP BY 1;}),
        join('|', $time + 1, $deep, $deep, 3 * $deep),
        '... every row has moved on, and has its own column set');
    is(left($session), '', '... nothing is left');
    cmp_ok(plans($session), '<=', $kept_plans, '... and the plans are as many as may be');
}
# A trigger that writes another row of the same batch.  Whether that one is written with it, before it or after it
# should make no difference.
$node->safe_psql(
    'postgres', q{
    CREATE TABLE tree (id int PRIMARY KEY, parent int, name text, written int NOT NULL DEFAULT 0);
    SELECT occ.enable('tree');
    CREATE FUNCTION count_up() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        UPDATE tree SET written = written + 1 WHERE id = NEW.parent;
        RETURN NULL;
    END $$;
    CREATE TRIGGER count_up AFTER UPDATE ON tree FOR EACH ROW EXECUTE FUNCTION count_up();
});
my %tree = (
    together => '[{"id": 2, "version": 1, "name": "leaf"}, {"id": 1, "version": 1, "name": "root"}]',
    'before it' => '[{"id": 1, "version": 1, "name": "root"}, {"id": 2, "version": 1, "parent": 1}]',
    'after it' => '[{"id": 2, "version": 1, "parent": 1}, {"id": 1, "version": 1, "name": "root"}]');
foreach my $order ('together', 'before it', 'after it')
{
    run_sql($session, 'TRUNCATE tree; INSERT INTO tree VALUES (1, NULL), (2, 1);');
    is(run_sql($session, "SELECT DISTINCT status FROM occ.update('tree', '$tree{$order}', 'skip');"),
        'updated', "a trigger writes another row of the batch: $order");
    is(run_sql($session, 'SELECT name, written FROM tree WHERE id = 1;'), 'root|1', '... and both are done');
}

# A conflict that a trigger meets is an error of the call that fired it, which does not skip what is not its own.
$node->safe_psql(
    'postgres', q{
    CREATE TABLE fussy (id int PRIMARY KEY, value int);
    SELECT occ.enable('fussy');
    INSERT INTO fussy VALUES (1, 1), (2, 2);
    CREATE FUNCTION insist() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        PERFORM FROM occ.check('parent', '{"id": 7, "version": 7}');
        RETURN NULL;
    END $$;
    CREATE TRIGGER insist AFTER UPDATE ON fussy FOR EACH ROW EXECUTE FUNCTION insist();
});
foreach my $on_conflict ('error', 'skip')
{
    like(
        run_sql($session, qq{SELECT * FROM occ.touch('fussy', '[{"id": 2, "version": 1}]', '$on_conflict');}),
        qr/ERROR:  optimistic lock conflict on 1 row of "parent"\n/, "$on_conflict: a conflict in a trigger is raised");
    is(left($session), '', '... nothing is left');
}
is(run_sql($session, 'SELECT DISTINCT version FROM fussy;'), '1', '... and nothing is written');

$session->quit;
$node->stop;
done_testing();
