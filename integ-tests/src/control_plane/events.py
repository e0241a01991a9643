"""What EventBridge does and the emulator leaves out: it takes events of AWS's own services, invokes a rule's function as Lambda does events, if
the function's policy lets this rule, sends the event to the target's dead-letter queue otherwise, and rejects a rule whose pattern is invalid.

In: `PutEvents`; a service signs with its own name (`ecr.amazonaws.com`) as access key. Out: invocations; messages. The patterns are the
emulator's: it has all of EventBridge's operators.
"""

import contextvars
import fnmatch
import json
import logging

import invocations
import provisioning
import queues
from ministack.core.router import extract_access_key_id
from ministack.services import eventbridge, lambda_svc, sqs

logger = logging.getLogger("events")

KIND = "AWS::Events::Rule"
SERVICE = ".amazonaws.com"
# EventBridge's quota.
PATTERN_CHARACTERS_MAX = 2048

SENDER = contextvars.ContextVar("sender", default="")
# The ARN of a rule, and one of its targets.
DELIVERY = contextvars.ContextVar("delivery", default=None)


def carry():
    take_events_of_services()
    invoke_functions()
    provisioning.check(KIND, check_pattern)


def take_events_of_services():
    handle, put = eventbridge.handle_request, eventbridge._put_events

    async def handle_of(method, path, headers, body, query):
        held = SENDER.set(extract_access_key_id(headers, query) or "")
        try:
            return await handle(method, path, headers, body, query)
        finally:
            SENDER.reset(held)

    def put_own(data, allow_aws_source=False):
        sender = SENDER.get()
        source = f"aws.{sender.removesuffix(SERVICE)}"
        own = sender.endswith(SERVICE) and all(entry.get("Source") == source for entry in data.get("Entries", []))
        return put(data, allow_aws_source or own)

    eventbridge.handle_request = handle_of
    eventbridge._put_events = put_own


def invoke_functions():
    target = eventbridge._invoke_target

    def of_rule(spec, event, rule, view=None):
        held = DELIVERY.set((rule["Arn"], spec))
        try:
            target(spec, event, rule, view)
        finally:
            DELIVERY.reset(held)

    eventbridge._invoke_target = of_rule
    eventbridge._dispatch_to_lambda = invoke


def invoke(arn, payload):
    function, config, name = lambda_svc._get_func_record_for_ref(arn)
    rule, _ = DELIVERY.get()
    if not function:
        give_up("NO_RESOURCE", f"function {name} not found", payload)
    elif not lets(function["policy"], "lambda:InvokeFunction", rule):
        give_up("NO_PERMISSIONS", f"no statement of the policy of {name} lets it", payload)
    else:
        invocations.start(lambda_svc._execution_record_for_config(function, config), json.loads(payload))


def give_up(code, words, payload):
    """To the target's dead-letter queue. On AWS a loss shows in the rule's metrics only: FailedInvocations, InvocationsFailedToBeSentToDLQ."""
    rule, target = DELIVERY.get()
    logger.warning("%s invokes nothing: %s", rule, words)
    arn = (target.get("DeadLetterConfig") or {}).get("Arn", "")
    queue = sqs._queue_by_arn(arn)
    if not queue or not lets(json.loads(queue["attributes"].get("Policy") or "{}"), "sqs:SendMessage", rule):
        return
    attributes = {"RULE_ARN": rule, "TARGET_ARN": target["Arn"], "ERROR_CODE": code, "ERROR_MESSAGE": words}
    queues.put(arn, payload, attributes)


def lets(policy, action, rule):
    return any(statement_lets(statement, action, rule) for statement in policy.get("Statement", []))


def statement_lets(statement, action, rule):
    actions = statement["Action"]
    found = {"aws:sourcearn": rule, "aws:sourceaccount": rule.split(":")[4]}
    conditions = [each for test in (statement.get("Condition") or {}).values() for each in test.items()]
    return (
        statement["Effect"] == "Allow"
        and statement["Principal"] == {"Service": f"events{SERVICE}"}
        and any(fnmatch.fnmatchcase(action, each) for each in ([actions] if isinstance(actions, str) else actions))
        # Equal or like; what else a condition may ask is not known here.
        and all(fnmatch.fnmatchcase(found.get(key.lower(), ""), value) for key, value in conditions)
    )


def check_pattern(properties):
    pattern = properties.get("EventPattern", "")
    text = pattern if isinstance(pattern, str) else json.dumps(pattern, separators=(",", ":"))
    reason = eventbridge._event_pattern_error(text)
    if len(text) > PATTERN_CHARACTERS_MAX:
        reason = f"Event pattern must be at most {PATTERN_CHARACTERS_MAX} characters long"
    if reason:
        words = f"Event pattern is not valid. Reason: {reason}"
        raise ValueError(f"{words} (Service: EventBridge, Status Code: 400; Error Code: InvalidEventPatternException)")
