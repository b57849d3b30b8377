# Guarded updates in two-phase commits: a prepared transaction holds its rows as any other open one, over a restart too,
# and what it commits or rolls back decides over those who wait.

use strict;
use warnings FATAL => 'all';

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = PostgreSQL::Test::Cluster->new('prepared');
$node->init;
$node->append_conf('postgresql.conf', "fsync = off\nmax_prepared_transactions = 5\nlock_timeout = 30s");
$node->start;
$node->safe_psql(
    'postgres', q{
    CREATE EXTENSION occ_lock;
    CREATE TABLE product (id int PRIMARY KEY, stock int, version bigint NOT NULL DEFAULT 1);
    SELECT occ.enable('product');
    INSERT INTO product SELECT generate_series(1, 4), 10;
});

my $rows = 'SELECT id, stock, version FROM product ORDER BY id';

# The last line of what a statement prints; for an error its SQLSTATE.
sub run_sql
{
    my ($sql) = @_;
    my ($status, $stdout, $stderr) = $node->psql('postgres', "\\set VERBOSITY sqlstate\n$sql");
    return $status == 0 ? $stdout : $stderr =~ s/.*ERROR:  //sr;
}

# Start an update in a session of its own and wait until a lock holds it up.
sub start_waiting
{
    my ($begin, $sql) = @_;
    my $session = $node->background_psql('postgres', on_error_stop => 0);

    $session->query_safe($begin);
    $session->query_until(qr/started/, "\\set VERBOSITY verbose\n\\echo started\n$sql;\n");
    $node->poll_query_until('postgres', q{SELECT count(*) > 0 FROM pg_locks WHERE NOT granted})
      or die 'the update does not wait';
    return $session;
}

# Wait for its end.  Returns what it printed, errors included.
sub finish_waiting
{
    my ($session) = @_;
    my $output = $session->query('ROLLBACK') . $session->{stderr};

    $session->quit;
    return $output;
}

# Run an update in a transaction and prepare it under the name of the row.
sub prepare
{
    my ($name, $update) = @_;

    is(run_sql("BEGIN;\n$update;\nPREPARE TRANSACTION '$name'"), '', "row $name: prepared");
}

# After a conflict there is nothing to prepare, unless the conflict is rolled back.
run_sql("\\set ON_ERROR_STOP 0\nBEGIN;\nUPDATE product SET version = 0 WHERE id = 1;\nPREPARE TRANSACTION 'one'");
is(run_sql('SELECT count(*) FROM pg_prepared_xacts'), '0', 'a transaction with a conflict is not prepared');
prepare('four', q{
    SAVEPOINT s;
    \set ON_ERROR_STOP 0
    UPDATE product SET version = 0 WHERE id = 4;
    \set ON_ERROR_STOP 1
    ROLLBACK TO s;
    UPDATE product SET stock = 14, version = 1 WHERE id = 4});

prepare('one', 'UPDATE product SET stock = 11, version = 1 WHERE id = 1');
prepare('two', 'UPDATE product SET stock = 12, version = 1 WHERE id = 2');
is(run_sql($rows), "1|10|1\n2|10|1\n3|10|1\n4|10|1", 'nothing of it is visible');

# Waiting for a prepared writer.
my $waiting = start_waiting('BEGIN', 'UPDATE product SET stock = 21, version = 1 WHERE id IN (1, 3)');
is(run_sql("COMMIT PREPARED 'one'"), '', 'row one: committed');
like(finish_waiting($waiting), qr/PT409.*"ids":\[1\],.*"expected":1,"actual":2/s, '... who waited for it is refused');

$waiting = start_waiting('BEGIN', 'UPDATE product SET stock = 22, version = 1 WHERE id = 2 RETURNING version');
is(run_sql("ROLLBACK PREPARED 'two'"), '', 'row two: rolled back');
is(finish_waiting($waiting), '2', '... who waited for it succeeds');

prepare('three', 'UPDATE product SET stock = 13, version = 1 WHERE id = 3');
$waiting =
  start_waiting('BEGIN ISOLATION LEVEL REPEATABLE READ', 'UPDATE product SET stock = 23, version = 1 WHERE id = 3');
is(run_sql("COMMIT PREPARED 'three'"), '', 'row three: committed');
like(finish_waiting($waiting), qr/40001: could not serialize access/, '... REPEATABLE READ gets 40001');

# Over a restart, and a crash.
prepare('one', 'UPDATE product SET stock = 31, version = 2 WHERE id = 1');
prepare('two', 'UPDATE product SET stock = 32, version = 1 WHERE id = 2');
$node->restart;
$waiting = start_waiting('BEGIN', 'UPDATE product SET stock = 41, version = 2 WHERE id = 1');
is(run_sql("COMMIT PREPARED 'one'"), '', 'row one: committed after a restart');
like(finish_waiting($waiting), qr/PT409.*"expected":2,"actual":3/s, '... who waited for it is refused');
$node->stop('immediate');
$node->start;
$waiting = start_waiting('BEGIN', 'UPDATE product SET stock = 42, version = 1 WHERE id = 2 RETURNING version');
is(run_sql("ROLLBACK PREPARED 'two'"), '', 'row two: rolled back after a crash');
is(finish_waiting($waiting), '2', '... who waited for it succeeds');
is(run_sql("COMMIT PREPARED 'four'"), '', 'row four: committed after both');
is(run_sql($rows), "1|31|3\n2|10|1\n3|13|2\n4|14|2", 'what was committed is there, and nothing else');
is(run_sql('UPDATE product SET version = 1 WHERE id = 4'), 'PT409', 'a version from two phases counts as any');

$node->stop;
done_testing();
