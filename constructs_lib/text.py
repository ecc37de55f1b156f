"""Text that people wrote, on its way into Terraform JSON. Knows nothing of what the text means.

Every string in Terraform's JSON syntax is a template: without this, an environment value such as
``${file("/etc/shadow")}`` would be an expression.
"""

from __future__ import annotations

import re

_TEMPLATE_START = re.compile(r"[$%#&]+(?=\{)")


def literal(text: str) -> str:
    """`text` so that both cdktf and Terraform take every character literally.

    Signs before a brace are quoted (``${x}`` -> ``${"$"}{x}``) instead of doubled: doubling is
    ambiguous behind another sign, and leaves cdktf's own ``${TfToken[…]}`` marks in one piece.
    """
    return _TEMPLATE_START.sub(lambda signs: f'${{"{signs[0]}"}}', text)
