"""Lambda at queues, with the role of the function: event source mappings, and on-failure destinations.

In: mappings that CloudFormation makes, and their polls; records of failures. Out: Lambda's refusals; nothing is received or sent that the role may
not receive or send. A mapping can be made disabled, and be enabled later.
"""

import json
import logging

import provisioning
import rights
from ministack.services import lambda_svc, sqs
from ministack.services.cloudformation import provisioners

logger = logging.getLogger("queues")

KIND = "AWS::Lambda::EventSourceMapping"
# Lambda's developer guide, "Using Lambda with Amazon SQS".
OF_POLLS = ("ReceiveMessage", "DeleteMessage", "GetQueueAttributes")


def poll():
    provisioning.check(KIND, check_mapping)
    show_state()
    poll_with_role()


def send(config, queue, record):
    """A message for a destination. On AWS a refusal shows in the metric DestinationDeliveryFailures only."""
    refused = rights.refusal(config, "sqs:SendMessage", queue)
    if refused:
        logger.warning("The failure of %s reaches nobody: %s", config["FunctionName"], refused)
        return
    put(queue, json.dumps(record), {})


def put(queue, body, attributes):
    url = sqs._queue_url(queue.rpartition(":")[2])
    attributes = {name: {"DataType": "String", "StringValue": value} for name, value in attributes.items()}
    sqs._act_send_message({"QueueUrl": url, "MessageBody": body, "MessageAttributes": attributes}, url)
    lambda_svc.esm_wake.set()


def check_mapping(properties):
    queue = properties.get("EventSourceArn", "")
    function = provisioners._lambda_function_for_cfn_ref(properties.get("FunctionName", ""))[0]
    if function is None or ":sqs:" not in queue:
        return
    config = function["config"]
    for action in OF_POLLS:
        refused = rights.refusal(config, f"sqs:{action}", queue)
        if refused:
            raise ValueError(f"The provided execution role does not have permissions to call {action} on SQS ({refused})")
    attributes = (sqs._queue_by_arn(queue) or {}).get("attributes", {})
    hidden, timeout = int(attributes.get("VisibilityTimeout", 30)), int(config["Timeout"])
    if hidden < timeout:
        words = f"Queue visibility timeout: {hidden} seconds is less than Function timeout: {timeout} seconds"
        raise ValueError(f"Invalid request provided: {words} (Service: Lambda, Status Code: 400)")


def show_state():
    """The emulator polls no queue for a disabled mapping, but says that it is enabled."""
    handlers = provisioners._RESOURCE_HANDLERS[KIND]
    made = handlers["create"]

    def create(logical_id, properties, stack):
        name, attributes = made(logical_id, properties, stack)
        mapping = lambda_svc._esms[name]
        mapping["State"] = "Enabled" if mapping["Enabled"] else "Disabled"
        return name, attributes

    handlers.update(create=create)


def poll_with_role():
    """The emulator asks how many batches may run before it receives one: none, where the role may not."""
    count = lambda_svc._sqs_esm_concurrency

    def count_if_allowed(mapping, function, config, queue=None):
        for action in OF_POLLS:
            refused = rights.refusal(config, f"sqs:{action}", mapping["EventSourceArn"])
            if refused:
                logger.warning("No poll for %s: %s", config["FunctionName"], refused)
                return 0
        return count(mapping, function, config, queue)

    lambda_svc._sqs_esm_concurrency = count_if_allowed
