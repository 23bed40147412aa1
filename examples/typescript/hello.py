from spin_sdk import http
from spin_sdk.http import Request, Response


class IncomingHandler(http.IncomingHandler):
    def handle_request(self, request: Request) -> Response:
        print("called:", request.method, request.uri)
        return Response(200, {"content-type": "text/plain"}, b"Hello, Blue!")
