"""On a guarded table, beside the pessimistic programs: who has locked goes on as ever, and who has not is checked."""
import json

from django.db import connection, transaction

from models import Product
from occ_django import Conflict, conflicts


def take_and_rename(product_id, amount, name):
    """Locked or not, the first save moves the version, and the second one must state the new one."""
    with transaction.atomic():
        product = Product.objects.select_for_update().get(pk=product_id)
        product.stock -= amount
        product.save()
        product.refresh_from_db(fields=['version'])
        product.name = name
        product.save()


def submit_form(product):
    """Read without a lock, however long ago."""
    with conflicts():
        product.save()


def submit_forms(products):
    """One transaction: a conflict undoes its own inner block, and the outer one commits the others."""
    stale = []
    with transaction.atomic():
        for product in products:
            try:
                with conflicts(), transaction.atomic():
                    product.save()
            except Conflict as conflict:
                stale += conflict.conflict_ids
    return stale


def take_as_seen(product, deliver):
    """Locks only once the person has decided, and only the row that they have seen, before what can't be undone."""
    with conflicts(), transaction.atomic():
        with connection.cursor() as cursor:
            cursor.execute("SELECT occ.check('product', %s)",
                           [json.dumps({'id': product.pk, 'version': product.version})])
        deliver()
        product.stock -= 1
        product.save()
