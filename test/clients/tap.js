'use strict';
// For the tests of Node's clients: TAP, a second service, and the same table without its guard.
const fs = require('node:fs');
const path = require('node:path');
const { setTimeout } = require('node:timers/promises');
const util = require('node:util');
const { Client } = require('pg');

let tests = 0;
let failures = 0;

function ok(passed, what) {
  tests += 1;
  failures += !passed;
  console.log(`${passed ? 'ok' : 'not ok'} ${tests} - ${what}`);
}

function same(got, wanted, what) {
  const passed = util.isDeepStrictEqual(got, wanted);
  ok(passed, what);
  if (!passed) console.log(`got    ${util.inspect(got)}\nwanted ${util.inspect(wanted)}`);
}

/** The error that an async function throws, or null. */
async function raised(run) {
  try {
    await run();
    return null;
  } catch (error) {
    return error;
  }
}

const secondService = new Client();
const connected = secondService.connect();

/** A second service, which knows nothing of this one's framework: the rows as psql -At prints them, or a refusal. */
async function sql(statement) {
  await connected;
  try {
    const results = [await secondService.query({ text: statement, rowMode: 'array', types: { getTypeParser: () => String } })];
    return results.flat().at(-1).rows.map((row) => row.map((value) => value ?? '').join('|')).join('\n');
  } catch (error) {
    if (!['PT409', 'PT428'].includes(error.code)) throw error;
    return `${error.code}: ${error.message}`;
  }
}

async function guards(state) {
  await sql(`DO $$ DECLARE t regclass; BEGIN
                 FOR t IN SELECT table_name FROM occ.tables LOOP
                     EXECUTE format('ALTER TABLE %s ${state} TRIGGER _occ_guard', t);
                 END LOOP;
             END $$`);
}

/** A function that returns whether an update was lost: not with the guard, but without it. */
async function closed(what, lost) {
  ok(!(await lost()), what);
  await guards('DISABLE');
  ok(await lost(), `${what} (lost without the guard)`);
  await guards('ENABLE');
}

/** Run what a second service overtakes, whose transaction has written, but is not committed yet; the error, or null. */
async function overtaken(statement, run) {
  const other = new Client();
  await other.connect();
  await other.query('BEGIN');
  await other.query(statement);
  const running = raised(run);
  const waits = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'";
  for (let i = 0; i < 1000 && await sql(waits) === '0'; i += 1) await setTimeout(5);
  await other.query('COMMIT');
  await other.end();
  return running;
}

/** Hold the page, if there is one, to this program: each block of code in it is in here. */
async function done(page, ...rows) {
  const text = page ? fs.readFileSync(path.join(__dirname, '../../docs/clients', page), 'utf8') : '';
  const program = fs.readFileSync(require.main.filename, 'utf8');
  for (const [, block] of text.matchAll(/^ *```(?:js|sql)\n(.*?)^ *```/gms)) {
    // Of what runs within something, only the indentation differs.
    const lines = block.trimEnd().split('\n');
    const missing = lines.filter((line) => !program.includes(line.trim()));
    same(missing, [], `the page has "${lines[0]}" from here`);
  }
  await secondService.end();
  console.log(`1..${tests}`);
  if (failures) process.exitCode = 1;
  else for (const row of rows) console.log(`# table: ${row}`);
}

module.exports = { closed, done, ok, overtaken, raised, same, sql };
