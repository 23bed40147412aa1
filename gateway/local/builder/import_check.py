"""Imports a function's module in a limited process and looks for its handler; the builder runs this file by path.

It stands in for componentize-py where functions run in CPython, and fails with the same Python errors. Limits are
no sandbox: they keep a mistake from taking the machine along. Arguments: folder, module, memory in MB.
"""

import importlib
import resource
import sys
import traceback


def main(root: str, module: str, memory_mb: int) -> int:
    """Exit code 0 when the module imports and has an IncomingHandler; else 1, and the traceback on stderr."""
    memory = memory_mb * 1024 * 1024
    resource.setrlimit(resource.RLIMIT_AS, (memory, memory))
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    sys.dont_write_bytecode = True
    sys.path.insert(0, root)
    try:
        loaded = importlib.import_module(module)
    except BaseException as error:  # SystemExit at import is a failure like any other
        _print_from_module(error, root)
        return 1
    if not hasattr(loaded, "IncomingHandler"):
        print(f"AttributeError: module '{module}' has no attribute 'IncomingHandler'", file=sys.stderr)
        return 1
    return 0


def _print_from_module(error: BaseException, root: str) -> None:
    """Print the traceback from the function's own first frame on; importlib's and ours say nothing."""
    frame = error.__traceback__
    while frame is not None and not frame.tb_frame.f_code.co_filename.startswith(root):
        frame = frame.tb_next
    traceback.print_exception(type(error), error, frame)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], sys.argv[2], int(sys.argv[3])))
