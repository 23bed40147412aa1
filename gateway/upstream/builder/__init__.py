"""The Builder Service: builds, pushes, deploys; its two dialects are understood here and nowhere else.

The documented service says pending, building, pushing, done and `image_url`; the running one says pending,
running, completed and `image_uri`. What a task's error means to people is gateway/builds/messages.py's.
"""

from gateway.upstream.builder.client import DEPLOY_TIMEOUT_S, Builder
from gateway.upstream.builder.requests import BeforeEnd

__all__ = ["DEPLOY_TIMEOUT_S", "BeforeEnd", "Builder"]
