"""What EventBridge does and the emulator leaves out: it takes events of AWS's own services, invokes a rule's function as Lambda does events, if
the function's policy lets this rule, and rejects a rule whose pattern is invalid.

In: `PutEvents`; a service signs with its own name (`ecr.amazonaws.com`) as access key. Out: invocations. The patterns are the emulator's: it
has all of EventBridge's operators.
"""

import contextvars
import fnmatch
import json
import logging

import invocations
import provisioning
from ministack.core.router import extract_access_key_id
from ministack.services import eventbridge, lambda_svc

logger = logging.getLogger("events")

KIND = "AWS::Events::Rule"
SERVICE = ".amazonaws.com"
# EventBridge's quota.
PATTERN_CHARACTERS_MAX = 2048

SENDER = contextvars.ContextVar("sender", default="")
RULE = contextvars.ContextVar("rule", default=None)


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
        held = RULE.set(rule)
        try:
            target(spec, event, rule, view)
        finally:
            RULE.reset(held)

    eventbridge._invoke_target = of_rule
    eventbridge._dispatch_to_lambda = invoke


def invoke(arn, payload):
    function, config, name = lambda_svc._get_func_record_for_ref(arn)
    rule = RULE.get()["Arn"]
    # On AWS both show in the rule's metric FailedInvocations only.
    if not function:
        logger.warning("%s invokes nothing: function %s not found", rule, name)
    elif not lets(function["policy"], rule):
        logger.warning("%s invokes nothing: no statement of the policy of %s lets it", rule, name)
    else:
        invocations.start(lambda_svc._execution_record_for_config(function, config), json.loads(payload))


def lets(policy, rule):
    return any(statement_lets(statement, rule) for statement in policy["Statement"])


def statement_lets(statement, rule):
    conditions = statement.get("Condition") or {}
    source = (conditions.get("ArnLike") or {}).get("AWS:SourceArn", "*")
    account = (conditions.get("StringEquals") or {}).get("AWS:SourceAccount", rule.split(":")[4])
    return (
        statement["Principal"] == {"Service": f"events{SERVICE}"}
        and fnmatch.fnmatchcase("lambda:InvokeFunction", statement["Action"])
        and fnmatch.fnmatchcase(rule, source)
        and account == rule.split(":")[4]
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
