"""One sentence's worth of seven languages: article 1 of the Universal Declaration of Human Rights (1948).

A text that says the same everywhere shows what a tokenizer charges whom. Articles are in the public domain; all are in
Unicode's composed form (NFC).

Not handled: other languages and articles; the price of one short text is no average over a language.
"""

from __future__ import annotations

_ARTICLE_1 = {
    "English": (
        "All human beings are born free and equal in dignity and rights. They are endowed with reason and "
        "conscience and should act towards one another in a spirit of brotherhood."
    ),
    "Spanish": (
        "Todos los seres humanos nacen libres e iguales en dignidad y derechos y, dotados como están de razón y "
        "conciencia, deben comportarse fraternalmente los unos con los otros."
    ),
    "German": (
        "Alle Menschen sind frei und gleich an Würde und Rechten geboren. Sie sind mit Vernunft und Gewissen "
        "begabt und sollen einander im Geist der Brüderlichkeit begegnen."
    ),
    "Russian": (
        "Все люди рождаются свободными и равными в своем достоинстве и правах. Они наделены разумом и совестью "
        "и должны поступать в отношении друг друга в духе братства."
    ),
    "Arabic": (
        "يولد جميع الناس أحرارًا متساوين في الكرامة والحقوق. وقد وهبوا عقلاً وضميرًا وعليهم أن يعامل بعضهم بعضًا بروح "
        "الإخاء."
    ),
    "Hindi": (
        "सभी मनुष्यों को गौरव और अधिकारों के मामले में जन्मजात स्वतन्त्रता और समानता प्राप्त है। उन्हें बुद्धि और अन्तरात्मा की "
        "देन प्राप्त है और परस्पर उन्हें भाईचारे के भाव से बर्ताव करना चाहिए।"
    ),
    "Chinese": "人人生而自由，在尊严和权利上一律平等。他们赋有理性和良心，并应以兄弟关系的精神相对待。",
}


def declaration() -> dict[str, str]:
    """Article 1 by the English name of its language, English first.

    >>> texts = declaration()
    >>> list(texts)
    ['English', 'Spanish', 'German', 'Russian', 'Arabic', 'Hindi', 'Chinese']
    >>> len(texts["English"].encode()), len(texts["Hindi"].encode())
    (170, 497)
    """
    return dict(_ARTICLE_1)
