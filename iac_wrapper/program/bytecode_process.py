"""The process that `bytecode` compiles in: ``python -I -S`` runs this file by its path.

It imports next to nothing, since its start takes longer than most compiling. It reads what to do
as the hex digits of a marshalled list of ``(module, target, name, header)``, see `compile_module`.
"""

import marshal
import os
import sys

DIRECTORY, PLAIN = 0o755, 0o644


def compile_module(module: bytes, target: bytes, name: str, header: bytes) -> None:
    """Write the bytecode of `module` to `target`, unless it does not compile or cannot be written.

    Args:
        module: the source.
        target: the file of the bytecode; its folder is made.
        name: the file that tracebacks show.
        header: what the bytecode begins with.
    """
    try:
        with open(module, "rb") as file:  # noqa: PTH123 - pathlib is slow to import
            code = compile(file.read(), name, "exec", dont_inherit=True)
        data = header + marshal.dumps(code)
        folder = os.path.dirname(target)  # noqa: PTH120
        if not os.path.isdir(folder):  # noqa: PTH112
            os.mkdir(folder)  # noqa: PTH102
            os.chmod(folder, DIRECTORY)  # noqa: PTH101
        with open(target, "wb") as file:  # noqa: PTH123
            file.write(data)
        os.chmod(target, PLAIN)  # noqa: PTH101
    except (OSError, SyntaxError, ValueError, RecursionError, MemoryError):
        return


if __name__ == "__main__":
    for each in marshal.loads(bytes.fromhex(sys.stdin.read())):  # noqa: S302 - of our own
        compile_module(*each)
