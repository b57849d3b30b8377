#!/usr/bin/env node
'use strict';
// Products over HTTP.  The ETag is the database's, and so is the comparison with If-Match: this program holds no lock,
// remembers nothing, and any number of it may run beside each other.
//
//   PGDATABASE=shop PORT=8080 node server.js      (or any other of libpq's variables)
const fs = require('node:fs/promises');
const http = require('node:http');
const path = require('node:path');
const { Pool } = require('pg');

const LARGEST_BODY = 1e6;

const pool = new Pool();
pool.on('error', (error) => console.error(`idle connection: ${error.message}`));

const READ = 'SELECT occ.snapshot(p) AS row, occ.etag(p) AS etag FROM product AS p WHERE id = $1';

const READ_UNLESS = `
  SELECT occ.snapshot(p) AS row, occ.etag(p) AS etag, occ.etag_matches(occ.etag(p), $2, weak => true) AS known
  FROM product AS p WHERE id = $1`;

const CREATE = `
  INSERT INTO product AS p (name, price, stock, note)
  SELECT name, price, stock, note FROM jsonb_populate_record(NULL::product, $1)
  RETURNING occ.snapshot(p) AS row, occ.etag(p) AS etag`;

// What the body does not have stays as it is.  A version in it is stated, and so the guard checks it, too.
const UPDATE = `
  UPDATE product AS p SET (name, price, stock, note, version) =
      (SELECT r.name, r.price, r.stock, r.note, r.version FROM jsonb_populate_record(p, $3) AS r)
  WHERE id = $1 AND occ.etag_matches(occ.etag(p), $2)
  RETURNING occ.snapshot(p) AS row, occ.etag(p) AS etag`;

const DELETE = `
  DELETE FROM product AS p WHERE id = $1 AND occ.etag_matches(occ.etag(p), $2) RETURNING occ.snapshot(p) AS row`;

const MERGE = `
  SELECT occ.snapshot(p) AS theirs, occ.etag(p) AS etag, m.merged, m.conflicts
  FROM product AS p, occ.merge($2, $3, occ.snapshot(p)) AS m WHERE id = $1`;

/** What the database's refusals are in HTTP. */
const STATUS = {
  PT409: [409, 'Somebody else has changed this'],
  PT428: [428, 'The version that was read is missing'],
  '22023': [400, 'Bad request'],
  '22P02': [400, 'Bad request'],
  '22003': [400, 'Bad request'],
  '22P05': [400, 'Bad request'],
  '23502': [422, 'A value is missing'],
  '23514': [422, 'A value is out of range'],
};

class Refusal extends Error {
  constructor(status, title, more) {
    super(title);
    Object.assign(this, { status, more });
  }
}

const GONE = new Refusal(404, 'There is no such product');

async function query(statement, ...values) {
  try {
    return (await pool.query(statement, values)).rows;
  } catch (error) {
    if (/^(08|57P|ECONN|ENOENT)/.test(error.code)) throw new Refusal(503, 'The database does not answer');
    const [status, title] = STATUS[error.code] ?? [];
    if (!status) throw error;
    // The DETAIL of a conflict is JSON: its table, its ids, and the versions that were expected and found.
    const conflict = error.code === 'PT409' ? JSON.parse(error.detail) : undefined;
    throw new Refusal(status, title, { detail: error.message, hint: error.hint, conflict });
  }
}

/** The row that a statement with If-Match wrote; else the reason why there is none. */
async function written(rows, id) {
  if (rows.length > 0) return rows[0];
  const [current] = await query(READ, id);
  if (!current) throw GONE;
  throw new Refusal(412, 'Somebody else has changed this', { current: current.row, etag: current.etag });
}

async function body(request) {
  // A page elsewhere can't send this type without asking first, so nobody's browser changes products on its behalf.
  if (!/^application\/json\b/i.test(request.headers['content-type'])) throw new Refusal(415, 'The body must be application/json');
  const chunks = [];
  let size = 0;
  for await (const chunk of request) {
    size += chunk.length;
    if (size <= LARGEST_BODY) chunks.push(chunk);
  }
  if (size > LARGEST_BODY) throw new Refusal(413, 'The body is too large');
  try {
    const value = JSON.parse(Buffer.concat(chunks).toString());
    if (value !== null && typeof value === 'object' && !Array.isArray(value)) return value;
  } catch { /* as below */ }
  throw new Refusal(400, 'The body must be a JSON object');
}

function ifMatch(request) {
  const header = request.headers['if-match'];
  if (header === undefined) {
    throw new Refusal(428, 'If-Match is missing', { detail: 'Send the ETag of what you have read as If-Match.' });
  }
  return header;
}

function send(response, status, value, headers = {}) {
  // Caches must ask each time, and the ETag makes the answer short: 304.
  response.writeHead(status, { 'Content-Type': 'application/json', 'Cache-Control': 'no-cache', ...headers });
  response.end(value === undefined ? undefined : JSON.stringify(value));
}

const one = {
  async GET(request, response, id) {
    const [found] = await query(READ_UNLESS, id, request.headers['if-none-match'] ?? null);
    if (!found) throw GONE;
    if (found.known) send(response, 304, undefined, { ETag: found.etag });
    else send(response, 200, found.row, { ETag: found.etag });
  },
  async PUT(request, response, id) {
    const header = ifMatch(request);
    const { row, etag } = await written(await query(UPDATE, id, header, await body(request)), id);
    send(response, 200, row, { ETag: etag });
  },
  async DELETE(request, response, id) {
    const { row } = await written(await query(DELETE, id, ifMatch(request)), id);
    send(response, 200, row);
  },
};

const all = {
  async GET(request, response) {
    send(response, 200, (await query('SELECT occ.snapshot(p) AS row FROM product AS p ORDER BY id')).map(({ row }) => row));
  },
  async POST(request, response) {
    const [{ row, etag }] = await query(CREATE, await body(request));
    send(response, 201, row, { ETag: etag, Location: `/products/${row.id}` });
  },
};

const merge = {
  async POST(request, response, id) {
    const { base = null, mine = null } = await body(request);
    const [merged] = await query(MERGE, id, JSON.stringify(base), JSON.stringify(mine));
    if (!merged) throw GONE;
    send(response, 200, merged);
  },
};

const FILES = { '/': ['page.html', 'text/html'], '/page.js': ['page.js', 'text/javascript'], '/page.css': ['page.css', 'text/css'] };

async function file(response, [name, type]) {
  const content = await fs.readFile(path.join(__dirname, name));
  response.writeHead(200, { 'Content-Type': `${type}; charset=utf-8`, 'Cache-Control': 'no-cache' });
  response.end(content);
}

async function answer(request, response) {
  const [pathname] = request.url.split('?');
  const [, id, isMerge] = /^\/products\/([0-9]{1,9})(\/merge)?$/.exec(pathname) ?? [];
  const methods = id ? (isMerge ? merge : one) : { '/products': all }[pathname];

  const method = request.method === 'HEAD' ? 'GET' : request.method;

  if (method === 'GET' && Object.hasOwn(FILES, pathname)) return file(response, FILES[pathname]);
  if (!methods) throw new Refusal(404, 'There is no such page');
  if (!Object.hasOwn(methods, method)) throw new Refusal(405, `${method} is not possible here`);
  return methods[method](request, response, id);
}

const server = http.createServer((request, response) => {
  answer(request, response).catch((error) => {
    const known = error instanceof Refusal;
    if (!known) console.error(error);
    if (response.headersSent) response.destroy();
    else send(response, known ? error.status : 500, { title: known ? error.message : 'The server has failed', ...error.more });
  });
});

server.listen(Number(process.env.PORT ?? 8080), '127.0.0.1', () => {
  console.log(`http://127.0.0.1:${server.address().port}/`);
});
