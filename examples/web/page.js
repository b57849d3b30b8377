'use strict';
// One product, edited.  What was read is kept with its ETag until it is saved; the server says if that was too late.

const FIELDS = ['name', 'price', 'stock', 'note'];
const element = (selector) => document.querySelector(selector);
const [edit, conflict, gone, message] = ['#edit', '#conflict', '#gone', '#message'].map(element);

let base;       // the row as it was read
let etag;       // its ETag
let merging;    // what the server said of a conflict: theirs, etag, merged, conflicts; and mine

function say(text, isProblem = false) {
  message.textContent = text;
  message.classList.toggle('problem', isProblem);
}

/** The response and what is in it.  Throws if there is none: then nobody knows what became of the request. */
async function send(method, path, value, headers = {}) {
  let response;
  try {
    response = await fetch(path, {
      method, headers: { 'Content-Type': 'application/json', ...headers }, body: value && JSON.stringify(value),
    });
    return { status: response.status, etag: response.headers.get('ETag'), value: await response.json() };
  } catch {
    throw new Error(method === 'GET'
      ? 'The server does not answer.'
      : 'The server did not answer. Your change may have been saved or not: save again, and you will see.');
  }
}

function show(panel) {
  for (const each of [conflict, gone]) each.hidden = each !== panel;
  for (const each of edit.elements) each.disabled = Boolean(panel);
}

function fill(row, tag) {
  [base, etag, merging] = [row, tag, undefined];
  element('h1').textContent = `Product ${row.id}`;
  for (const field of FIELDS) edit.elements[field].value = row[field] ?? '';
  edit.hidden = false;
  show(null);
}

/** The row as the form has it.  What was not touched is exactly what was read. */
function edited() {
  const mine = { ...base };
  for (const field of FIELDS) {
    const { value, type } = edit.elements[field];
    if (value === String(base[field] ?? '')) continue;
    if (value === '') mine[field] = null;
    else mine[field] = type === 'number' ? Number(value) : value;
  }
  return mine;
}

/** Only what differs is sent, so that the rest stays as it is. */
function changes(mine, from) {
  return Object.fromEntries(FIELDS.filter((field) => mine[field] !== from[field]).map((field) => [field, mine[field]]));
}

async function open(id) {
  const found = await send('GET', `/products/${id}`);
  if (found.status !== 200) {
    edit.hidden = true;
    return say(found.value.title, true);
  }
  fill(found.value, found.etag);
  say('');
}

async function list() {
  const { value } = await send('GET', '/products');
  element('#products').replaceChildren(...value.map(({ id, name }) => {
    const link = document.createElement('a');
    link.href = `?id=${id}`;
    link.textContent = name;
    if (id === base?.id) link.setAttribute('aria-current', 'page');
    return link;
  }));
}

async function save(mine, from, tag) {
  const answer = await send('PUT', `/products/${base.id}`, changes(mine, from), { 'If-Match': tag });
  if (answer.status === 200) {
    fill(answer.value, answer.etag);
    say('Saved.');
    return list();
  }
  if (answer.status === 412 || answer.status === 409) return compare(mine);
  if (answer.status === 404) return offerToCreate(mine);
  return say(`${answer.value.title}. ${answer.value.detail ?? ''}`, true);
}

/** Both versions side by side.  What only one of the two has changed is chosen already. */
async function compare(mine) {
  const answer = await send('POST', `/products/${base.id}/merge`, { base, mine });
  if (answer.status === 404) return offerToCreate(mine);
  merging = { ...answer.value, mine };
  if (Object.keys(changes(merging.merged, merging.theirs)).length === 0 && merging.conflicts.length === 0) {
    // Nothing of mine is left to save: it was saved before and the answer got lost, or they had the same idea.
    fill(merging.theirs, merging.etag);
    say('Saved already.');
    return undefined;
  }
  element('#conflict tbody').replaceChildren(...FIELDS.map(comparison));
  show(conflict);
  return say('');
}

function comparison(field) {
  const { mine, theirs, conflicts } = merging;
  const row = document.createElement('tr');
  const isConflict = conflicts.includes(field);
  const differs = mine[field] !== theirs[field];
  const takesMine = differs && !isConflict && merging.merged[field] === mine[field];
  row.dataset.field = field;
  row.className = isConflict ? 'conflict' : differs ? 'merged' : '';
  row.insertCell().textContent = edit.elements[field].labels[0].textContent.trim();
  row.insertCell().textContent = base[field] ?? '–';
  for (const [whose, value, chosen] of [['mine', mine[field], takesMine], ['theirs', theirs[field], !takesMine]]) {
    const cell = row.insertCell();
    if (!differs) {
      cell.textContent = value ?? '–';
      continue;
    }
    const label = document.createElement('label');
    const radio = document.createElement('input');
    Object.assign(radio, { type: 'radio', name: field, value: whose, required: true, checked: chosen && !isConflict });
    label.append(radio, ` ${value ?? '–'}`);
    cell.append(label);
  }
  return row;
}

/** Save with the ETag of what is on the screen: if a third change comes in between, it is compared again. */
function resolve(choose) {
  const { theirs, etag: tag, merged } = merging;
  const mine = { ...merged };
  for (const field of FIELDS) mine[field] = merging[choose(field)][field];
  if (Object.keys(changes(mine, theirs)).length === 0) {
    fill(theirs, tag);
    return say('Theirs is kept.');
  }
  base = theirs;
  return save(mine, theirs, tag);
}

function offerToCreate(mine) {
  merging = { mine };
  show(gone);
  say('');
}

/** Run what a button does, and say what went wrong. */
function on(target, event, run) {
  target.addEventListener(event, async (e) => {
    e.preventDefault();
    try {
      await run();
    } catch (error) {
      say(error.message, true);
    }
  });
}

on(edit, 'submit', () => save(edited(), base, etag));
on(element('#reload'), 'click', () => open(base.id));
on(element('#delete'), 'click', async () => {
  const answer = await send('DELETE', `/products/${base.id}`, undefined, { 'If-Match': etag });
  if (answer.status === 412) {
    // Whoever deletes wants to have seen what is there.
    fill(answer.value.current, answer.value.etag);
    return say('Somebody else has changed this meanwhile. Look at it, and delete it again.', true);
  }
  edit.hidden = answer.status === 200 || answer.status === 404;
  if (!edit.hidden) return say(answer.value.title, true);
  say('Deleted.');
  base = undefined;
  return list();
});
on(conflict, 'submit', () => resolve((field) => conflict.elements[field]?.value ?? 'theirs'));
on(element('#mine'), 'click', () => resolve(() => 'mine'));
on(element('#theirs'), 'click', () => resolve(() => 'theirs'));
on(gone, 'submit', async () => {
  const answer = await send('POST', '/products', merging.mine);
  if (answer.status !== 201) return say(`${answer.value.title}. ${answer.value.detail ?? ''}`, true);
  fill(answer.value, answer.etag);
  history.replaceState(null, '', `?id=${answer.value.id}`);
  say('Created again.');
  return list();
});
on(element('#discard'), 'click', () => { show(null); edit.hidden = true; base = undefined; say(''); return list(); });

(async () => {
  const id = new URLSearchParams(location.search).get('id') ?? 1;
  await open(id);
  await list();
})().catch((error) => say(error.message, true));
