"""Asynchronous invocations, as Lambda makes them, of other functions and of CloudFormation.

In: an event for a function. Out: it runs until it succeeds or has no attempts left, under one request id, which the caller is told; then a record
of the failure goes to the function's on-failure destination, a function or a queue, if its role may invoke it or send to it.
"""

import contextvars
import datetime
import json
import logging
import os
import threading
import time
import urllib.error
import urllib.parse
import urllib.request

import provisioning
import queues
import rights
from ministack.services import cloudwatch_logs, lambda_svc
from ministack.services.cloudformation import custom_resource, provisioners

logger = logging.getLogger("invocations")

# Lambda's developer guide, "How Lambda handles errors and retries with asynchronous invocation".
PAUSES = (60, 120)
THROTTLED_PAUSE_MAX = 300
AGE_MAX = 6 * 60 * 60
PACE = float(os.environ.get("PROVIDER_PACE", "1"))

KIND = "AWS::Lambda::EventInvokeConfig"
PROXY = os.environ.get("AWS_ENDPOINT_URL_LAMBDA", "")
OPENER = urllib.request.build_opener(urllib.request.ProxyHandler({}))
SECONDS_MAX = 30

REQUEST_ID = contextvars.ContextVar("request_id", default="")
OF_STACK = contextvars.ContextVar("of_stack", default=False)


def play():
    lambda_svc.invoke_async_with_retry = start
    keep_request_ids()
    invoke_for_stacks()
    provisioning.check(KIND, check_destination)
    leave_deleted_logs()


def start(function, event):
    """The emulator asks for this where something happens; an invocation by a caller has an id already."""
    request_id = REQUEST_ID.get() or lambda_svc.new_uuid()
    context = contextvars.copy_context()
    threading.Thread(target=context.run, args=(deliver, function, event, request_id), daemon=True).start()


def deliver(function, event, request_id):
    config = function.get("config") or function
    account, region = lambda_svc._account_region_from_function_config(config)
    lambda_svc._request_account_id.set(account)
    lambda_svc._request_region.set(region)
    REQUEST_ID.set(request_id)
    settings = (function.get("event_invoke_configs") or {}).get("$LATEST") or {}
    retries = int(settings.get("MaximumRetryAttempts", len(PAUSES)))
    too_old = time.monotonic() + PACE * int(settings.get("MaximumEventAgeInSeconds", AGE_MAX))
    attempts, throttled = 0, 1
    while True:
        result = lambda_svc._execute_function(function, event)
        if result.get("throttle"):
            # No attempt: the event waits in Lambda's queue.
            pause, throttled = throttled, min(2 * throttled, THROTTLED_PAUSE_MAX)
        else:
            attempts += 1
            if not result.get("error"):
                return
            if attempts > retries:
                condition = "RetriesExhausted"
                break
            pause = PAUSES[attempts - 1]
        if time.monotonic() + PACE * pause > too_old:
            condition = "EventAgeExceeded"
            break
        time.sleep(PACE * pause)
    destination = ((settings.get("DestinationConfig") or {}).get("OnFailure") or {}).get("Destination", "")
    record = record_of(config, event, request_id, condition, attempts, result)
    if ":lambda:" in destination:
        report(config, destination, record)
    elif ":sqs:" in destination:
        queues.send(config, destination, record)
    elif destination:
        lambda_svc._route_async_failure(destination, config["FunctionName"], event, result)


def record_of(config, event, request_id, condition, attempts, result):
    """The guide's "Invocation record"."""
    record = {
        "version": "1.0",
        "timestamp": datetime.datetime.now(datetime.timezone.utc).strftime("%Y-%m-%dT%H:%M:%S.%f")[:-3] + "Z",
        "requestContext": {
            "requestId": request_id,
            "functionArn": config["FunctionArn"] + ":$LATEST",
            "condition": condition,
            "approximateInvokeCount": attempts,
        },
        "requestPayload": event,
    }
    if attempts:
        record["responseContext"] = {"statusCode": 200, "executedVersion": "$LATEST", "functionError": "Unhandled"}
        record["responsePayload"] = result.get("body")
    return record


def report(config, destination, record):
    try:
        invoke_as(config, destination, record)
    except urllib.error.HTTPError as refusal:
        # On AWS this shows in the metric DestinationDeliveryFailures only.
        logger.warning("The failure of %s reaches nobody: %s", config["FunctionName"], refusal.read().decode())


def invoke_as(config, target, event):
    """An invocation with the role of a function."""
    headers = {**rights.signed(config, "lambda"), "X-Amz-Invocation-Type": "Event"}
    address = f"{PROXY}/2015-03-31/functions/{urllib.parse.quote(target, safe='')}/invocations"
    request = urllib.request.Request(address, json.dumps(event).encode(), headers, method="POST")
    OPENER.open(request, timeout=SECONDS_MAX).close()


class WithRequestId(dict):
    """Headers of an answer; the emulator updates those of every answer with an id of its own."""

    NAME = "x-amzn-requestid"

    def __init__(self, headers, request_id):
        super().__init__({**headers, self.NAME: request_id})

    def update(self, others):
        super().update({**others, self.NAME: self[self.NAME]})


def keep_request_ids():
    """All attempts have the id that the caller is told; the emulator gives each one of its own, and the caller yet another."""
    invoke, dispatch = lambda_svc._invoke, lambda_svc._execute_function_dispatch

    async def invoke_with_id(name, event, headers, *others):
        kind = headers.get("x-amz-invocation-type") or headers.get("X-Amz-Invocation-Type")
        if kind != "Event":
            return await invoke(name, event, headers, *others)
        held = REQUEST_ID.set(lambda_svc.new_uuid())
        try:
            status, answer, body = await invoke(name, event, headers, *others)
            return status, WithRequestId(answer, REQUEST_ID.get()), body
        finally:
            REQUEST_ID.reset(held)

    def dispatch_with_id(function, config, event, request_id, started):
        return dispatch(function, config, event, REQUEST_ID.get() or request_id, started)

    lambda_svc._invoke = invoke_with_id
    lambda_svc._execute_function_dispatch = dispatch_with_id


def invoke_for_stacks():
    """CloudFormation invokes a custom resource's function asynchronously; the emulator once, and waits for its end."""
    ask, execute = custom_resource.invoke_custom_resource, lambda_svc._execute_function_with_config_scope

    def ask_function(*arguments, **others):
        held = OF_STACK.set(True)
        try:
            return ask(*arguments, **others)
        finally:
            OF_STACK.reset(held)

    def execute_or_start(function, event):
        if not OF_STACK.get():
            return execute(function, event)
        start(function, event)
        return {}

    custom_resource.invoke_custom_resource = ask_function
    lambda_svc._execute_function_with_config_scope = execute_or_start


def leave_deleted_logs():
    """An invocation that ends after its stack writes to no log group: it has no right to make one. The emulator would make it anew."""
    emit = lambda_svc._emit_lambda_logs

    def emit_if_there(function, *arguments, **others):
        config = function.get("config") or function
        group = (config.get("LoggingConfig") or {}).get("LogGroup")
        # That by the function's name Lambda makes itself.
        if group in (None, f"/aws/lambda/{config['FunctionName']}") or group in cloudwatch_logs._log_groups:
            emit(function, *arguments, **others)

    lambda_svc._emit_lambda_logs = emit_if_there


def check_destination(properties):
    """Lambda takes a destination only where the function's role may invoke it, or send to it."""
    target = ((properties.get("DestinationConfig") or {}).get("OnFailure") or {}).get("Destination", "")
    function = provisioners._lambda_function_for_cfn_ref(properties.get("FunctionName", ""))[0]
    action = "sqs:SendMessage" if ":sqs:" in target else "lambda:InvokeFunction"
    refused = rights.refusal(function["config"], action, target) if function and target else None
    if refused:
        words = f"The function's execution role does not have permissions to call {action.partition(':')[2]} on {target}"
        raise ValueError(f"{words} ({refused})")
