"""Where the program begins: makes a package of its folder, without those above it.

Nothing of ``beamclaw`` is imported, nor may anything be found that the folders above
hold: so they are not on the path, and the package is put together here.
"""

import os
import resource
import socket
import sys
from importlib import import_module


def main() -> None:
    """The program."""
    package = type(sys)("launcher")
    package.__path__ = [os.path.dirname(os.path.abspath(__file__))]
    sys.modules["launcher"] = package
    watch_over = import_module("launcher.signals").watch_over
    launcher = import_module("launcher.launcher").Launcher
    watch_over(b"bc-launcher")
    os.closerange(3, resource.getrlimit(resource.RLIMIT_NOFILE)[1])
    node = socket.socket(fileno=os.dup(int(sys.argv[1])))  # which is not inherited
    os.dup2(1, int(sys.argv[1]))
    launcher(node).run()


if __name__ == "__main__":
    main()
