"""The language of a text: right or silent."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from organic.quality.language import LANGUAGES, guess_language

SENTENCES = {
    "en": "We are looking for somebody to work with our team in the kitchen",
    "de": "Wir suchen eine Pflegekraft für die Station und die Ambulanz",
    "fr": "Nous cherchons une infirmière pour les urgences et la maternité",
    "es": "Buscamos una persona para la cocina y el comedor de nuestro hotel",
    "it": "Cerchiamo una persona per la cucina e gli ospiti della nostra casa",
    "pt": "Procuramos uma pessoa para a cozinha e não é preciso experiência em hotéis",
    "nl": "Wij zoeken een kok voor het restaurant en je werkt met ons team",
    "sv": "Vi söker en kock till vår restaurang och du ska arbeta med oss",
    "pl": "Szukamy osoby do pracy w kuchni oraz na sali, praca jest od zaraz",
    "tr": "Mutfak için bir aşçı ve restoran için bir garson arıyoruz",
    "el": "Ζητούμε νοσοκόμα για νυχτερινή βάρδια",
    "ru": "Мы ищем сварщика, который умеет читать чертежи",
    "uk": "Ми шукаємо зварника, який вміє читати креслення і їздити",
    "ja": "看護師を募集しています。経験のある方を歓迎します",
    "zh": "我们正在招聘有经验的护士",
    "ko": "경험이 있는 간호사를 찾습니다",
    "ar": "نبحث عن ممرضة ذات خبرة إلى مستشفى",
    "he": "אנו מחפשים אחות עם ניסיון",
    "th": "เรากำลังมองหาพยาบาล",
}


@pytest.mark.parametrize("code", SENTENCES)
def test_a_plain_sentence_is_recognised(code):
    assert guess_language(SENTENCES[code]) == code


@pytest.mark.parametrize(
    "text",
    ["", "   ", "12 345 € (40 h)", "Nurse", "Registered nurse, Berlin", "Chef de partie", "Java Python SQL", "🙂🙂"],
)
def test_a_text_that_does_not_tell_has_no_language(text):
    assert guess_language(text) is None


def test_two_languages_in_one_text_are_none():
    assert guess_language(f"{SENTENCES['en']}. {SENTENCES['de']}") is None
    assert guess_language(f"{SENTENCES['en']} {SENTENCES['ru']}") is None


def test_only_the_beginning_of_a_long_text_is_read():
    assert guess_language("der und " * 1_000_000 + SENTENCES["en"] * 10) == "de"


@given(st.text() | st.sampled_from(["\ud800", "\x00"]))
def test_any_text_gets_a_known_code_or_none(text):
    assert guess_language(text) in {None, *LANGUAGES}
