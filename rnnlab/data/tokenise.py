"""Words of tweets, reviews and other informal text."""

from __future__ import annotations

import re

#: What becomes one token, in this order.
TOKEN = re.compile(
    r"""
    (?P<link>https?://\S*|www\.\S+)         # a link, also one that was cut off
    |(?P<user>@\w+)                         # a mention
    |(?P<tag>\#\w+)                         # a hashtag
    |(?P<number>\d+(?:[.,:/]\d+)*)          # 7, 1,000, 12:30, 2020/02
    |[<>]?[:;=8][\-o*']?[)\](\[dDpP/\\|3]   # an emoticon such as :-) or ;P
    |<3
    |['’](?:s|re|ve|ll|d|m|t)\b             # what is cut off a word: 's
    |[^\W\d_]+(?:['’][^\W\d_]+)*            # letters, with apostrophes inside
    |\w+                                    # whatever else belongs to words
    |(?P<sign>[!?.])(?P=sign)+              # !!! and ...
    |\S                                     # one sign, such as an emoji
    """,
    re.VERBOSE | re.IGNORECASE,
)
#: Tokens that stand for all of their kind.
STANDS = {"link": "<link>", "user": "<user>", "number": "<number>"}


def tokenise(text: str) -> list[str]:
    """The tokens of a text in lower case.

    Links, mentions and numbers become `<link>`, `<user>` and `<number>`; a hashtag is `#` and its
    word; words keep their apostrophes (`don't`), and every emoji is a token. Points, question and
    exclamation marks that are repeated are one token of two or three.
    """
    tokens: list[str] = []
    for match in TOKEN.finditer(text):
        kind, token = match.lastgroup, match.group().lower().replace("’", "'")
        if kind == "tag":
            tokens += ["#", token[1:]]
        elif kind == "sign":
            tokens.append(token[:3])
        else:
            tokens.append(STANDS.get(kind or "", token))
    return tokens
