"""On guarded tables: a request to cancel states the version of the order that the client has seen."""
from django.db import transaction
from django.db.models import F

from models import Order, Product
from occ_django import conflicts


def cancel(order_id, version, has_checked=lambda: None):
    with conflicts(), transaction.atomic():
        order = Order.objects.get(pk=order_id)
        if order.status == 'cancelled' and order.version == version:
            return 'cancelled already'
        has_checked()
        order.status = 'cancelled'
        order.version = version
        order.save()
        Product.objects.filter(pk=order.product_id).update(stock=F('stock') + order.quantity)
    return 'cancelled'
