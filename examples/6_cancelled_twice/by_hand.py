"""Orders as applications write them: look whether the order is cancelled already, and if not, give its stock back."""
from django.db import transaction
from django.db.models import F

from models import Order, Product


def place(product_id, quantity):
    with transaction.atomic():
        if not Product.objects.filter(pk=product_id, stock__gte=quantity).update(stock=F('stock') - quantity):
            raise ValueError('sold out')
        return Order.objects.create(product_id=product_id, quantity=quantity)


def cancel(order_id, has_checked):
    with transaction.atomic():
        order = Order.objects.get(pk=order_id)
        if order.status == 'cancelled':
            return 'cancelled already'
        has_checked()
        order.status = 'cancelled'
        order.save()
        order.product.stock += order.quantity
        order.product.save()
    return 'cancelled'


def cancel_with_f(order_id, has_checked):
    """The same by somebody who has heard of F(): it adds to the stock that is there, but it adds twice."""
    with transaction.atomic():
        order = Order.objects.get(pk=order_id)
        if order.status == 'cancelled':
            return 'cancelled already'
        has_checked()
        order.status = 'cancelled'
        order.save()
        order.product.stock = F('stock') + order.quantity
        order.product.save()
    return 'cancelled'
