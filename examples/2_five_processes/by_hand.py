"""Compare-and-set as applications write it: update WHERE updated_at is still what was read, and count the rows."""
from django.utils import timezone

from models import Product


def buy(product_id, amount, has_read):
    product = Product.objects.get(pk=product_id)
    has_read()
    bought = Product.objects.filter(pk=product.pk, updated_at=product.updated_at).update(
        stock=product.stock - amount, updated_at=timezone.now())
    return 'bought' if bought else 'conflict'


def buy_without_stamp(product_id, amount, has_read):
    """The same, written by somebody who did not know that update() leaves updated_at as it is."""
    product = Product.objects.get(pk=product_id)
    has_read()
    bought = Product.objects.filter(pk=product.pk, updated_at=product.updated_at).update(
        stock=product.stock - amount)
    return 'bought' if bought else 'conflict'


def restock_without_check(product_id, amount, has_read):
    """And by somebody who did not know that there is a check: all of Django's save() is one."""
    product = Product.objects.get(pk=product_id)
    has_read()
    product.stock += amount
    product.save()
