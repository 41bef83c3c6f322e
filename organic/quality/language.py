"""Which language a text is in: by its script, else by its function words; None where that does not tell.

A wrong guess hides a job from people who could read it, so the guess keeps silent on short and mixed texts. Languages
are ISO 639-1 codes. Scripts that serve several languages are told apart by letters only some of them have, or not at
all.
"""

from __future__ import annotations

import re
import unicodedata
from collections import Counter

LETTERS_READ = 4_000  # of a text; a longer one says nothing new
LEAST_WORDS = 3  # function words that must be found
LEAD = 2  # times as many as of the next language

# Frequent function words; a word may stand in several lists, it then decides nothing between them.
FUNCTION_WORDS = {
    "en": "the and of to in is for with you are we our your will this that be on as have from at an by or their",
    "de": "der die das und ist nicht mit für sie wir ein eine auf den dem zu von im ihre sind als bei oder auch werden",
    "fr": "le la les et des une est pour dans avec vous nous votre sur du au aux sont qui par plus notre ou ce cette",
    "es": "el la los las y de una es para con por su en del que como sus nuestro se son más al nuestra tu",
    "it": "il lo gli e di una è per con che del della nel alla sono come dei delle nostro si più da un al",
    "pt": "o os as e de uma é para com não do da em no na dos das que como são mais ao nosso você um",
    "nl": "de het een en van is voor met je wij ons jij bij op zijn aan dat niet als wordt naar ook te onze",
    "sv": "och att en ett är för med du vi på som av till den det har inte eller om kan ska vår",
    "da": "og at en et er for med du vi på som af til den det har ikke eller om kan skal vores",
    "pl": "i w na z do jest dla się nie oraz o od przez za są jak po lub naszej twoje",
    "tr": "ve bir bu için ile olarak daha çok en gibi olan da de veya sizin bizim",
    "vi": "và của là cho với các những trong được không có này một bạn chúng",
}
# function word -> the languages it belongs to
LANGUAGES_OF = {
    word: tuple(code for code, own in FUNCTION_WORDS.items() if word in own.split())
    for word in " ".join(FUNCTION_WORDS.values()).split()
}

# first word of a letter's Unicode name -> language, where the script belongs to one
SCRIPTS = {
    "GREEK": "el",
    "HANGUL": "ko",
    "HIRAGANA": "ja",
    "KATAKANA": "ja",
    "THAI": "th",
    "HEBREW": "he",
    "GEORGIAN": "ka",
    "ARMENIAN": "hy",
    "BENGALI": "bn",
    "TAMIL": "ta",
}
# scripts of several languages: letters that only the named one has, tried in order
MARKED = {
    "CYRILLIC": (("uk", "іїєґ"), ("ru", "ыэё")),
    "ARABIC": (("ur", "ٹڈڑے"), ("fa", "پچژگ"), ("ar", "ةىإأ")),
}
LANGUAGES = tuple(
    sorted({*FUNCTION_WORDS, *SCRIPTS.values(), "zh", *(code for marks in MARKED.values() for code, _ in marks)})
)


def guess_language(text: str) -> str | None:
    """The code of the language most of the text is in, or None. Equal for equal texts, never an error."""
    text = text[:LETTERS_READ].lower()
    if text.isascii():
        return _by_words(text)
    scripts = Counter(_script(letter) for letter in text if letter.isalpha())
    if not scripts:
        return None
    letters, (script, most) = scripts.total(), scripts.most_common(1)[0]
    if scripts["HIRAGANA"] + scripts["KATAKANA"] > 0.1 * letters:
        return "ja"  # written with Chinese characters in between
    if most < 0.7 * letters:
        return None
    if script == "LATIN":
        return _by_words(text)
    if script == "CJK":
        return "zh"
    if script in MARKED:
        return next((code for code, marks in MARKED[script] if any(mark in text for mark in marks)), None)
    return SCRIPTS.get(script)


def _by_words(text: str) -> str | None:
    found = Counter(code for word in re.findall(r"[^\W\d_]+", text) for code in LANGUAGES_OF.get(word, ()))
    (language, best), (_, next_best) = [*found.most_common(2), ("", 0), ("", 0)][:2]
    return language if best >= LEAST_WORDS and best >= LEAD * next_best else None


def _script(letter: str) -> str:
    return "LATIN" if letter.isascii() else unicodedata.name(letter, "?").partition(" ")[0]
