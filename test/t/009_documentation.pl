# The SQL of the documentation runs, and prints what the documentation shows.
#
# In README.md, docs/ and examples/, a ```sql block is run in one psql session.  If a ```text block follows it at once, that is all
# it prints; otherwise it must run without an error.  An example's page finds the
# tables of its schema.sql.
#
# No block drops anything: whoever pastes it may have something of that name.
use strict;
use warnings FATAL => 'all';
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use IPC::Run;
use File::Basename;
use File::Spec;

my $root = dirname(__FILE__) . '/../..';
my $node = PostgreSQL::Test::Cluster->new('main');
$node->init;
$node->start;

# The blocks of a page: line number, SQL, and what it prints, if the page says so.
sub blocks
{
	my ($page) = @_;
	my $text = slurp_file($page);
	my @blocks;
	while ($text =~ /^```sql\n(.*?)^```\n(?:```text\n(.*?)^```\n)?/msg)
	{
		my ($sql, $output) = ($1, $2);
		my $line = 1 + (substr($text, 0, $-[0]) =~ tr/\n//);
		push @blocks, [ $line, $sql, $output ];
	}
	return @blocks;
}

# What psql prints, errors included, in order, without the blank line after each result.
sub run_sql
{
	my ($database, $sql) = @_;
	my $output;
	# On one channel, unbuffered, so that messages stand where a person would see them.
	my @command = ('psql', '-XqA', '-v', 'ON_ERROR_STOP=0', '-P', 'format=aligned', '-d', $node->connstr($database));
	IPC::Run::run \@command, '<', \$sql, '>', \$output, '2>&1';
	$output =~ s/^ERROR: +current transaction.*\n//mg;
	return $output;
}

sub normalized
{
	my ($text) = @_;
	$text =~ s/^ (\w+) \n-+\n \n\(1 row\)\n\n//mg;    # SELECT of a void function
	$text =~ s/^(psql:)?<stdin>:\d+: //mg;
	$text =~ s/^psql:[^:]*: //mg;
	$text =~ s/\s+$//;
	return $text;
}

for my $page (map { glob "$root/$_" } 'README.md', 'docs/*.md', 'docs/*/*.md', 'examples/*.md', 'examples/*/*.md')
{
	my @dropping = grep { $_->[1] =~ /\b(DROP\s+(?!COLUMN\b)|TRUNCATE\b|CASCADE\s*;)/i } blocks($page);
	is(join(', ', map { "line $_->[0]" } @dropping), '', File::Spec->abs2rel($page, $root) . ' drops nothing');
}

my $number = 0;
for my $page (map { glob "$root/$_" } 'README.md', 'docs/*.md', 'examples/*.md', 'examples/*/*.md')
{
	my $name = File::Spec->abs2rel($page, $root);
	my $schema = dirname($page) . '/schema.sql';
	my $database = 'docs' . $number++;
	my @blocks = blocks($page);
	next unless @blocks;
	$node->safe_psql('postgres', "CREATE DATABASE $database");
	$node->safe_psql($database, 'CREATE EXTENSION occ_lock') unless $name eq 'README.md';
	command_ok([ 'psql', '-Xq', '-v', 'ON_ERROR_STOP=1', '-d', $node->connstr($database), '-f', $schema ], "$name: schema.sql")
	  if -e $schema;
	for my $block (@blocks)
	{
		my ($line, $sql, $expected) = @$block;
		my $output = run_sql($database, $sql);
		if (defined $expected)
		{
			is(normalized($output), normalized($expected), "$name, line $line, prints what it says");
		}
		else
		{
			unlike($output, qr/^ERROR/m, "$name, line $line, runs");
		}
	}
}

# What README says of getting rid of it.
like($node->safe_psql('docs0', q{SELECT attname FROM pg_attribute WHERE attrelid = 'product'::regclass AND attnum > 0 AND NOT attisdropped}),
	qr/\Aid\nname\nprice\nstock\z/, 'the version column that occ.enable() has added is gone');
is( $node->safe_psql(
		'docs0', q{
		DO $$DECLARE one regclass; BEGIN FOR one IN SELECT table_name FROM occ.tables LOOP PERFORM occ.disable(one); END LOOP; END$$;
		DROP EXTENSION occ_lock;
		SELECT count(*) FROM orders}),
	'1', 'and when no table is guarded, the extension goes, and the tables stay');

$node->stop;
done_testing();
