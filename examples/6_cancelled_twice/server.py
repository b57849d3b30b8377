"""The orders over HTTP.  Prints the port that it listens on, and serves until it is terminated.

GET /orders/1          {"status": "placed", "version": 1}
POST /orders/1/cancel  {"version": 1}: 200, or 409 with {"conflict_ids": [1]}
"""
import json
import sys
from pathlib import Path
from socketserver import ThreadingMixIn
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
from django_project import configure

if __name__ == '__main__':
    configure(ALLOWED_HOSTS=['127.0.0.1'], MIDDLEWARE=['__main__.ConflictIs409'], ROOT_URLCONF='__main__')

from django.core.wsgi import get_wsgi_application
from django.http import JsonResponse
from django.urls import path
from django.views.decorators.http import require_POST

import with_occ
from models import Order
from occ_django import Conflict


class ConflictIs409:
    """Middleware: whichever view it is, a conflict is answered as HTTP has it."""

    def __init__(self, get_response):
        self.get_response = get_response

    def __call__(self, request):
        return self.get_response(request)

    def process_exception(self, request, exception):
        if isinstance(exception, Conflict):
            return JsonResponse({'conflict_ids': exception.conflict_ids}, status=409)


def show(request, order_id):
    order = Order.objects.get(pk=order_id)
    return JsonResponse({'status': order.status, 'version': order.version})


@require_POST
def cancel(request, order_id):
    return JsonResponse({'outcome': with_occ.cancel(order_id, json.loads(request.body)['version'])})


urlpatterns = [path('orders/<int:order_id>', show), path('orders/<int:order_id>/cancel', cancel)]


class Server(ThreadingMixIn, WSGIServer):
    daemon_threads = True


class QuietHandler(WSGIRequestHandler):
    def log_message(self, *arguments):
        pass


if __name__ == '__main__':
    with make_server('127.0.0.1', 0, get_wsgi_application(), Server, QuietHandler) as server:
        print(server.server_port, flush=True)
        server.serve_forever()
