"""Was what the clients were told true when they were told it?"""


def check_answers(checker, transaction):
    if transaction['read']:
        check_read(checker, transaction)
    for answer in transaction['answers']:
        check_answer(checker, transaction, answer)
    for refusal in transaction['refusals']:
        check_refusal(checker, transaction, refusal)
    for absent in transaction['absent']:
        check_absent(checker, transaction, absent)


def snapshot(transaction, statement):
    """The statement saw all that had been committed by then."""
    return statement['from'] if transaction['level'] == 'read committed' else transaction['start']


def check_read(checker, transaction):
    """Each row was read at a version that it had then, with the tokens of that version: versions never go back, for anybody."""
    read = transaction['read']
    for id, name, version, count, last in read['rows']:
        checker.seen['reads'] += 1
        what = f"client {transaction['client']} has read row {id} ({name[:8]}) at version {version}"
        incarnation = checker.history.incarnations.get(name)
        if incarnation is None or not incarnation.was_perhaps(version, read['from'], read['to']):
            checker.problem(f'{what}, and it had no such version then')
        elif count != incarnation.token_count(version) or count and incarnation.tokens[count - 1:count] != [last]:
            checker.problem(f'{what}, with tokens of another one')


def check_answer(checker, transaction, answer):
    """A function tells of each row that it was given, in that order; all are done if it raises no error, unless it may skip some."""
    what = f"client {transaction['client']} was told by {answer['by']}"
    if [row[0] for row in answer['rows']] != [id for id, _ in answer['asked']]:
        checker.problem(f'{what} of other rows than it had asked for: {answer}')
    for (id, status, version), (_, stated) in zip(answer['rows'], answer['asked']):
        checker.seen['answers'] += 1
        if status != answer['done'] and (answer['on_conflict'] == 'error' or status not in ('stale', 'missing')):
            checker.problem(f'{what} that row {id} is {status}: {answer}')
        elif status == 'checked' and version != stated:
            checker.problem(f'{what} that row {id} is as it was read at version {stated}, and that is {version}')


def check_refusal(checker, transaction, refusal):
    """All rows that were stale or gone are listed, and only those."""
    history = checker.history
    client = f"client {transaction['client']}"
    since = snapshot(transaction, refusal)
    listed = {row['id'] for row in refusal['rows']}
    if not len(refusal['rows']) == len(listed) == refusal['count'] or refusal['ids'] != [row['id'] for row in refusal['rows']]:
        checker.problem(f'{client} was told of {refusal["count"]} rows, and the list is another: {refusal}')
    for row in refusal['rows']:
        checker.seen[f"{row['status']} rows"] += 1
        what = f"{client} was told {row} by {refusal['by']}"
        stated = refusal['stated'].get(str(row['id']))
        if stated is None:
            checker.problem(f'{what}, and had not asked for it')
        elif stated[1] is not None and row['expected'] != stated[1]:
            checker.problem(f'{what}, and had stated {stated[1]}')
        elif row['status'] == 'missing':
            if row['id'] not in refusal['own_deleted'] and any(i.existed(since, refusal['to']) for i in history.by_id[row['id']]):
                checker.problem(f'{what}, and it was there')
        elif row['status'] != 'stale' or row['actual'] == row['expected']:
            checker.problem(f'{what}, which is no conflict')
        elif not isinstance(row['actual'], dict) and refusal['own'].get(str(row['id'])) != row['actual'] and not any(
                incarnation.was_perhaps(row['actual'], refusal['from'], refusal['to'])
                for incarnation in history.by_version.get((row['id'], row['actual']), ())):
            checker.problem(f'{what}, and it had no such version then')
    for id, (name, version) in refusal['stated'].items():
        incarnation = history.incarnations.get(name)
        if int(id) in listed or incarnation is None or isinstance(version, dict):
            continue
        # An UPDATE passes over rows that are gone; the functions name them.
        is_to_be_listed = refusal['names_missing'] or incarnation.existed(since, refusal['to'])
        if is_to_be_listed and incarnation.was_certainly_left(version, since):
            checker.problem(f'{client} was not told by {refusal["by"]} that row {id} was beyond version {version}: {refusal}')


def check_absent(checker, transaction, absent):
    """Who was told of neither a write nor a conflict has asked for what was not there."""
    checker.seen['rows that were not found'] += 1
    since = snapshot(transaction, absent)
    for incarnation in checker.history.by_id[absent['id']]:
        # Who compares the version in WHERE has asked for this one only, and may have moved it himself.
        if absent['version'] is not None:
            was_there = not absent['own'] and incarnation is checker.history.incarnations.get(absent['incarnation']) and incarnation.was_certainly(
                absent['version'], since, absent['to'])
        else:
            was_there = not absent['own_deleted'] and incarnation.existed(since, absent['to'])
        if was_there:
            checker.problem(f"client {transaction['client']} was told nothing of row {absent['id']} by {absent['by']}, which was there")
