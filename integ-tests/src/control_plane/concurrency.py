"""Reserves concurrency for the functions of stacks; the emulator's CloudFormation drops the property.

In: nothing. Out: invocations beyond `ReservedConcurrentExecutions` are throttled; a reservation that leaves too little for others is rejected.
"""

from ministack.services import lambda_svc
from ministack.services.cloudformation import provisioners

KIND = "AWS::Lambda::Function"
PROPERTY = "ReservedConcurrentExecutions"
# Lambda's quotas: what an account has, and what must stay unreserved.
OF_ACCOUNT = 1000
UNRESERVED_MIN = 100


def reserve():
    handlers = provisioners._RESOURCE_HANDLERS[KIND]
    made, changed = handlers["create"], handlers["update"]

    def create(logical_id, properties, stack):
        check(properties)
        return put(made(logical_id, properties, stack), properties)

    def update(name, before, properties, *others):
        check(properties, name)
        return put(changed(name, before, properties, *others), properties)

    handlers.update(create=create, update=update)


def check(properties, own=None):
    reserved = sum(function.get("concurrency") or 0 for name, function in lambda_svc._functions.items() if name != own)
    if OF_ACCOUNT - reserved - int(properties.get(PROPERTY, 0)) < UNRESERVED_MIN:
        words = "decreases account's UnreservedConcurrentExecution below its minimum value"
        raise ValueError(f"Specified {PROPERTY} for function {words} of [{UNRESERVED_MIN}]. (Service: Lambda, Status Code: 400)")


def put(done, properties):
    name = done[0]
    if PROPERTY in properties:
        lambda_svc._put_function_concurrency(name, {PROPERTY: int(properties[PROPERTY])})
    else:
        lambda_svc._delete_function_concurrency(name)
    return done
