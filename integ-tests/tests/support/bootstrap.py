#!/usr/bin/python3
# A function for the tests of the Lambda that the provider's tests run on. The event says what it does; it reports each event
# that it takes on stdout.
import json
import os
import signal
import urllib.request

API = f"http://{os.environ['AWS_LAMBDA_RUNTIME_API']}/2018-06-01/runtime/invocation/"


def post(path, body):
    urllib.request.urlopen(urllib.request.Request(API + path, data=json.dumps(body).encode())).close()


while True:
    with urllib.request.urlopen(API + "next") as response:
        request_id = response.headers["Lambda-Runtime-Aws-Request-Id"]
        deadline = response.headers["Lambda-Runtime-Deadline-Ms"]
        event = json.load(response)
    print(f"took {event['what']} until {deadline}", flush=True)
    if event["what"] == "return":
        post(f"{request_id}/response", {"made": event["number"]})
    elif event["what"] == "fail":
        post(f"{request_id}/error", {"errorType": "Broken", "errorMessage": "broken"})
    elif event["what"] == "die":
        os._exit(3)
    elif event["what"] == "hang":
        signal.pause()
