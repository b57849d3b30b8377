# The benchmarks still run, in a short form; the figures mean nothing here.  bench/hot_row also fails if an increment is lost.

use strict;
use warnings FATAL => 'all';

use File::Basename;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $bench = dirname(__FILE__) . '/../../bench';
my $node = PostgreSQL::Test::Cluster->new('benchmarks');
$node->init;
$node->append_conf('postgresql.conf', 'fsync = off');
$node->start;

local %ENV = (%ENV, PGHOST => $node->host, PGPORT => $node->port, HOT_ROW_SECONDS => 1, HOT_ROW_ROUNDS => 1, BATCH_TRANSACTIONS => 2);

my ($stdout, $stderr) = run_command([ "$bench/hot_row" ]);
is($stderr, '', 'hot_row: no error');
is(scalar(() = $stdout =~ /^\S.* +\d+ +\d+\.\d\d( +\d+\.\d\d){4}$/mg), 5, 'hot_row: a line for each of five variants') or diag $stdout;

$node->safe_psql('postgres', 'DROP EXTENSION occ_lock CASCADE');
($stdout, $stderr) = run_command([ "$bench/batch" ]);
is($stderr, '', 'batch: no error');
is(scalar(() = $stdout =~ /^\S.* +\d+\.\d\d +\d+\.\d\d$/mg), 4, 'batch: a line for each of four variants') or diag $stdout;

$node->stop;
done_testing();
