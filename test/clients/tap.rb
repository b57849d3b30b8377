# For the tests of Ruby's clients: TAP, a second service, and the same table without its guard.
require 'json'
require 'pg'

module Tap
  SECOND_SERVICE = PG.connect
  COUNTS = { tests: 0, failures: 0 }

  module_function

  def ok(passed, what)
    COUNTS[:tests] += 1
    COUNTS[:failures] += 1 unless passed
    puts "#{passed ? 'ok' : 'not ok'} #{COUNTS[:tests]} - #{what}"
  end

  def same(got, wanted, what)
    ok(got == wanted, what)
    puts "got    #{got.inspect}\nwanted #{wanted.inspect}" unless got == wanted
  end

  # The exception that a block raises, or nil.
  def raised
    yield
    nil
  rescue StandardError => e
    e
  end

  # A second service, which knows nothing of this one's framework: the rows as psql -At prints them, or a refusal.
  def sql(statement)
    SECOND_SERVICE.exec(statement).values.map { |row| row.join('|') }.join("\n")
  rescue PG::Error => e
    state = e.result&.error_field(PG::Result::PG_DIAG_SQLSTATE)
    raise unless %w[PT409 PT428].include?(state)

    "#{state}: #{e.message}"
  end

  def guards(state)
    sql("DO $$ DECLARE t regclass; BEGIN FOR t IN SELECT table_name FROM occ.tables LOOP
             EXECUTE format('ALTER TABLE %s #{state} TRIGGER _occ_guard', t);
         END LOOP; END $$")
  end

  # A block that returns whether an update was lost: not with the guard, but without it.
  def closed(what)
    ok(!yield, what)
    guards('DISABLE')
    ok(yield, "#{what} (lost without the guard)")
    guards('ENABLE')
  end

  # Hold a page to this program: each line of its code in these languages is in here.
  def hold(page, languages = 'ruby|sql')
    program = File.read($PROGRAM_NAME)
    File.read(File.join(__dir__, '../..', page)).scan(/^ *```(?:#{languages})\n(.*?)^ *```/m) do |(block)|
      missing = block.lines.map(&:strip).reject { |line| program.include?(line) }
      same(missing, [], "#{page} has #{block.lines.first.strip.inspect} from here")
    end
  end

  def done(*rows)
    puts "1..#{COUNTS[:tests]}"
    exit 1 if COUNTS[:failures].positive?
    rows.each { |row| puts "# table: #{row}" }
  end
end
