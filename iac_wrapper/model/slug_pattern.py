"""The grammar of slugs as one regular expression, for editors: `Slug.parse` says what is wrong.

It is one that Python and ECMAScript read alike. What it cannot know is in
docs/decisions/0027-repos-file-schema.md.
"""

from __future__ import annotations

from iac_wrapper.model import slug_pasted
from iac_wrapper.model.image_reference import PATTERN

_PART = r"(?!\.{1,2}[/#])[A-Za-z0-9_.][A-Za-z0-9_.-]*"
_LAST = r"(?!\.{0,2}(?:\.git)?/?(?:#|$))[A-Za-z0-9_.][A-Za-z0-9_.-]*/?"

_HOST = r"(?:\[[0-9A-Fa-f:.]+\]|[^-\s/?#\\@:\[\]][^\s/?#\\@:\[\]]*)(?::[0-9]{0,5})?"
_USER = r"(?:[^-\s/?#\\@:][^\s/?#\\@:]*@)?"
_LOOPBACK = r"(?:(?:[^\s/?#\\@:]+\.)?localhost|127(?:\.[0-9]{1,3}){3}|\[::1\])(?::[0-9]{0,5})?"
_PATH = r"/[^\s?#\\]+"
_REMOTE = "|".join(
    (
        f"(?:gh|bb):{_PART}/{_LAST}",
        f"gl:{_PART}(?:/{_PART})*/{_LAST}",
        f"git\\+https://{_HOST}{_PATH}",
        f"git\\+http://{_LOOPBACK}{_PATH}",
        f"git\\+ssh://{_USER}{_HOST}{_PATH}",
        f"git\\+file://{_PATH}",
        slug_pasted.SCP,
        slug_pasted.CLONED,
    )
)

_REF = (
    r"(?![-/.])(?!@(?::|$))(?![^:]*(?:\.\.|@\{|//|/\.|\.lock(?:/|:|$)|[/.](?::|$)))"
    r"[^\s~^?*\[\\:]+"
)
_SUBDIR = r"(?![/~])(?!(?:[^/]*/)*\.\.(?:/|$))(?!(?:\.?/)*\.?$)[^\\]+"
_LOCAL = r"(?:\.{1,2}|~|(?=[/#]))(?:/[^#]*)?"

_PAGE = r"https?://(?:www\.)?(?:github\.com|gitlab\.com|bitbucket\.org)/[^\s/?#]+/[^\s/?#]+[^\s]*"

_ONE_LINE = r"(?!\s)(?!.*\s$)(?=[^\x00-\x1f\x7f]*$)"

SLUG = (
    f"^{_ONE_LINE}(?:(?:{_REMOTE})(?:#(?:{_REF}(?::|:{_SUBDIR})?|:{_SUBDIR}))?"
    f"|{_LOCAL}(?:#:{_SUBDIR})?|{_PAGE}|image:{PATTERN})$"
)
"""A slug."""

SUBDIR = f"^{_ONE_LINE}{_SUBDIR}$"
"""What `subdir:` may be."""
