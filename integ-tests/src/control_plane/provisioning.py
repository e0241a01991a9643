"""What a type of resource needs before CloudFormation makes or changes it, where the emulator asks for nothing.

In: the type, and what checks its properties: it raises `ValueError` with the service's words. Out: the resource fails with these words.
"""

from ministack.services.cloudformation import provisioners, stacks


def wait_for(kind):
    """A resource whose handlers ask the cloud around the emulator, which asks the emulator in turn, and must not wait for this."""
    has_thread = stacks._runs_on_worker_thread
    stacks._runs_on_worker_thread = lambda other: other == kind or has_thread(other)


def check(kind, ask):
    handlers = provisioners._RESOURCE_HANDLERS[kind]
    made, changed = handlers["create"], handlers["update"]

    def create(logical_id, properties, stack):
        ask(properties)
        return made(logical_id, properties, stack)

    def update(name, before, properties, *others):
        ask(properties)
        return changed(name, before, properties, *others)

    handlers.update(create=create, update=update)
    wait_for(kind)
