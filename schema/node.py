"""What has an id of its own: the Node interface."""

import strawberry


@strawberry.interface(description="An object with an id by which `node` finds it again.")
class Node:
    """An object that is found by its id alone."""

    id: strawberry.ID = strawberry.field(description="Its id, unique among all objects.")
