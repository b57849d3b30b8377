# frozen_string_literal: true

# For the tests of Ruby's clients: TAP, a second service, and the same table without its guard.
require 'json'
require 'pg'
$stdout.sync = true
ROOT = File.expand_path('../..', __dir__)
$tests = $failures = 0

def ok(passed, what)
  $tests += 1
  $failures += 1 unless passed
  puts "#{passed ? 'ok' : 'not ok'} #{$tests} - #{what}"
end

def same(got, wanted, what)
  ok(got == wanted, what)
  puts "got    #{got.inspect}", "wanted #{wanted.inspect}" if got != wanted
end

# The exception that a block raises, or nil.
def raised
  yield
  nil
rescue StandardError => e
  e
end

SECOND_SERVICE = PG.connect
SECOND_SERVICE.set_notice_processor { nil }

# A second service, which knows nothing of this one's framework: the rows as psql -At prints them, or a refusal.
def sql(statement)
  SECOND_SERVICE.exec(statement).values.map { |row| row.join('|') }.join("\n")
rescue PG::ServerError => e
  state = e.result.error_field(PG::PG_DIAG_SQLSTATE)
  raise unless %w[PT409 PT428].include?(state)

  "#{state}: #{e.message}"
end

def guards(state)
  sql("SELECT table_name FROM occ.tables").lines(chomp: true).each do |table|
    sql("ALTER TABLE #{table} #{state} TRIGGER _occ_guard")
  end
end

# A block that returns whether an update was lost: not with the guard, but without it.
def closed(what)
  ok(!yield, what)
  guards('DISABLE')
  ok(yield, "#{what} (lost without the guard)")
  guards('ENABLE')
end

# Run what a second service overtakes, whose transaction has written, but is not committed yet; the error, or nil.
def overtaken(statement, &block)
  other = PG.connect
  other.exec('BEGIN')
  other.exec(statement)
  running = Thread.new { raised(&block) }
  waits = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
  1000.times { sql(waits) == '0' ? sleep(0.005) : break }
  other.exec('COMMIT')
  other.close
  running.value
end

# The blocks of code in a page, by their first line.
def blocks(page)
  File.read("#{ROOT}/#{page}").scan(/^ *```(?:ruby|sql)\n(.*?)^ *```/m).flatten
end

# Hold the page to this program: each block of code in it is in here.
def done(page, *rows)
  program = [$PROGRAM_NAME, *Dir['*.rb']].map { |file| File.read(file) }.join
  blocks("docs/clients/#{page}").each do |block|
    # Of what runs within something, only the indentation differs.
    lines = block.lines(chomp: true)
    same(lines.reject { |line| program.include?(line.strip) }, [], "the page has #{lines[0].inspect} from here")
  end
  puts "1..#{$tests}"
  exit 1 if $failures.positive?
  rows.each { |row| puts "# table: #{row}" }
end
