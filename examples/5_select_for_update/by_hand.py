"""Pessimistic locking as applications write it: SELECT FOR UPDATE, nested transactions and savepoints."""
from django.db import transaction

from models import Product


class SoldOut(Exception):
    pass


def take(product_id, amount, has_locked=lambda: None):
    """Lock, look, write: nobody who locks as well can come between."""
    with transaction.atomic():
        product = Product.objects.select_for_update().get(pk=product_id)
        has_locked()
        if product.stock < amount:
            raise SoldOut(product.name)
        product.stock -= amount
        product.save()


def take_each(amounts):
    """What is sold out is left out: its inner block fails, and the outer one commits the others."""
    sold_out = []
    with transaction.atomic():
        for product_id, amount in amounts:
            try:
                with transaction.atomic():
                    take(product_id, amount)
            except SoldOut:
                sold_out.append(product_id)
    return sold_out


def take_and_look(amounts):
    """The same with savepoints, by somebody who writes first and looks then."""
    sold_out = []
    with transaction.atomic():
        for product_id, amount in amounts:
            before = transaction.savepoint()
            product = Product.objects.select_for_update().get(pk=product_id)
            product.stock -= amount
            product.save()
            if product.stock < 0:
                transaction.savepoint_rollback(before)
                sold_out.append(product_id)
            else:
                transaction.savepoint_commit(before)
    return sold_out


def take_and_rename(product_id, amount, name):
    """Saves the same object twice: what it holds is up to date, for the row is locked."""
    with transaction.atomic():
        product = Product.objects.select_for_update().get(pk=product_id)
        product.stock -= amount
        product.save()
        product.name = name
        product.save()


def restock_without_lock(product_id, amount, has_read):
    """By somebody who did not know that the others lock."""
    product = Product.objects.get(pk=product_id)
    has_read()
    product.stock += amount
    product.save()


def open_form(product_id):
    """A lock for somebody who is going to edit the row: it is gone before the form is on the screen."""
    with transaction.atomic():
        return Product.objects.select_for_update().get(pk=product_id)


def submit_form(product):
    product.save()
