"""A small text that is made, with tests of word vectors: people of two sexes in several roles."""

from __future__ import annotations

import random

from rnnlab.data.word_tests import TEST, VALIDATION, Question, WordPair, WordTests

#: A man and a woman of each role, and the words that go with the role.
ROLES = (
    ("king", "queen", ("rules", "crown", "palace")),
    ("actor", "actress", ("plays", "film", "stage")),
    ("uncle", "aunt", ("visits", "nephew", "family")),
    ("boy", "girl", ("learns", "school", "game")),
    ("waiter", "waitress", ("serves", "soup", "restaurant")),
    ("monk", "nun", ("prays", "candle", "church")),
)
#: The words that go with men, and those that go with women.
SEXES = (("he", "his", "himself", "sir"), ("she", "her", "herself", "madam"))


def made_kin(sentences: int, seed: int = 0) -> str:
    """Sentences, one a line, of one person, of words of the role and of the sex."""
    draw = random.Random(seed)
    lines = []
    for _ in range(sentences):
        role, sex = draw.choice(ROLES), draw.randrange(2)
        words = [*draw.choices(role[2], k=3), *draw.choices(SEXES[sex], k=2)]
        draw.shuffle(words)
        person = role[1] if sex else role[0]
        words.insert(draw.randrange(1, len(words)), person)
        lines.append(" ".join(words))
    return "\n".join(lines) + "\n"


def made_tests() -> WordTests:
    """Pairs of words that share a role, a sex or neither; analogies of all pairs of roles."""
    pairs = []
    for i, (man, woman, words) in enumerate(ROLES):
        other = ROLES[(i + 1) % len(ROLES)]
        pairs += [WordPair(man, woman, 9.0), WordPair(words[1], words[2], 8.0)]
        pairs += [WordPair(man, other[0], 5.0), WordPair(man, other[1], 2.0)]
        pairs += [WordPair(words[0], other[2][0], 0.0)]
    questions = [Question(*one[:2], *two[:2]) for one in ROLES for two in ROLES if one is not two]
    return WordTests({VALIDATION: pairs[::2], TEST: pairs[1::2]}, {"man-woman": questions})
