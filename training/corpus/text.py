# SPDX-License-Identifier: Apache-2.0
"""Sentences to speak: small grammars and word lists written for this corpus, seeded.

Variety of sound sequences matters here, not sense: statements, questions, exclamations, numbers,
names, spelling, lists with pauses, and shuffled words of the same lists.
"""

from __future__ import annotations

import numpy as np

_EN_WHO = (
    "my brother|the old farmer|Bob|Emily|a famous painter|the woman upstairs|nobody|our teacher|"
    "the boy with the blue umbrella|Peter and Pam|your boss|every member of the band|a wolf|"
    "the new neighbour|my mother|George|the whole village|somebody from Memphis|the chef|we|they"
).split("|")
_EN_DID = (
    "bought|painted|forgot about|climbed over|burned|whispered something about|fixed|found|"
    "would love to have|should have moved|never believed in|talked about|was looking for|measured|"
    "borrowed|threw away|brought back|wrapped up|is afraid of|jumped over|voted for|played with"
).split("|")
_EN_WHAT = (
    "a big paper boat|the purple map|five fresh fish|the bottom of the bathtub|a thousand stamps|"
    "that lovely old house|the measuring tape|a bowl of apple jam|these six yellow boxes|"
    "the wrong number|some warm bread and butter|the first verse of the song|both of the gloves|"
    "a strange noise|an empty room|the church by the river|the judge's report|a pair of shoes|"
    "every one of my problems|the village fair|a good cup of tea|the white wall|a huge surprise"
).split("|")
_EN_WHERE = (
    "in the middle of March|before breakfast|on the beach|after the meeting|at home|without a word|"
    "for the fourth time|under the bridge|because of the weather|when nobody was watching|"
    "with both hands|in a beautiful garden|on Wednesday afternoon|by mistake|over the phone|again"
).split("|")
_EN_WHOLE = (
    "How much wood would you move for a penny?|What a wonderful morning!|Stop! Don't touch that.|"
    "Please leave your message after the beep.|Are you really sure about this?|I don't believe it!|"
    "Well... maybe we should go back.|Oh, no. Not again.|Who is there?|Yes. No. Maybe. Perhaps.|"
    "Welcome home, everybody. Make yourselves comfortable.|Why would anyone buy a broken bell?|"
    "Thank you very much for calling, goodbye.|You must be joking!|Hello? Can you hear me now?|"
    "She sells shiny shells, he chews cheap cheese.|The thief thought of three other things.|"
    "We all grow older, you know.|Pop the balloon, Bob, pop it!|Mom made much more marmalade.|"
    "Five fat frogs vanished from the valley.|Our power tower is out of order.|Hooray, we won!|"
    "Look out behind you!|Listen, I have an idea.|It is cold, isn't it?|The moon is blue tonight.|"
    "You knew who threw the shoe.|Bah! Humbug.|Wow, what a view!|Go on, go slowly, go now.|"
    "Father's car is far apart from ours.|Put the good book by the foot of the cook."
).split("|")
_EN_WORDS = (
    "apple beam thumb vapor pepper maybe bump family movie voice above fifth paw boy oil boil cow "
    "how window water wool yes you use yellow measure vision garage judge church shoe choose sugar "
    "zebra buzz easy thing this bathe mother ring singing long king queen go give egg cake back "
    "happy hat hand aunt laugh father law talk ball saw coat boat know blow book good could food "
    "moon true blue bird girl word early sofa about banana lemon map top stop lip keep see leave "
    "live bit list bed head many red ran man cat pal play day eight away fly high buy time right"
).split()
_OTHER = {
    "es": "Buenos días, señora, ¿cómo está usted?|Mi madre prepara una sopa de pescado muy buena.|"
    "El perro de Pablo bebe agua fría.|¿Por qué no vamos a la playa mañana por la tarde?|"
    "Bueno, tal vez mañana.|¡Qué bonita mariposa!|Un hombre viejo vive en aquella montaña.|"
    "Ocho lobos bajaban hambrientos por el bosque.|Me gusta mucho la música de tu hermano.|"
    "Veinte, treinta, cuarenta y cinco.|El jefe trabaja en una fábrica de zapatos.|Gracias, adiós.|"
    "Llueve sobre la ciudad y nadie sale de casa.|Pepe puso un peso en el piso del pozo.",
    "fr": "Bonjour madame, comment allez-vous?|Ma mère prépare une bonne soupe de poisson.|"
    "Le petit chien boit beaucoup d'eau fraîche.|Pourquoi pas demain matin?|Quelle belle surprise!|"
    "Un vieux monsieur habite au bout de la rue.|Nous avons vu huit loups dans la forêt.|"
    "Je voudrais une tasse de café bien chaud, s'il vous plaît.|Vingt, trente, quarante-deux.|"
    "Il pleut sur la ville et personne ne bouge.|Tu joues toujours de la musique avec ton frère?|"
    "La fumée bleue monte au-dessus du feu.|Mon meilleur ami vient de Bruxelles.|Merci, au revoir.",
    "it": "Buongiorno signora, come sta oggi?|Mia madre prepara una buona zuppa di pesce.|"
    "Il cane di Paolo beve molta acqua fresca.|Perché non andiamo al mare domani pomeriggio?|"
    "Che bella sorpresa!|Un uomo vecchio abita in cima alla montagna.|Venti, trenta, quarantasei.|"
    "Otto lupi affamati scendevano dal bosco.|Mi piace molto la musica di tuo fratello.|"
    "Piove sulla città e nessuno esce di casa.|Prego, lasci un messaggio dopo il segnale acustico.|"
    "Gli amici di Beppe mangiano gnocchi.|Sbagliando si impara, forse.|Grazie mille, arrivederci.",
    "de": "Guten Morgen, wie geht es Ihnen?|Meine Mutter kocht eine gute Fischsuppe.|"
    "Der kleine Hund trinkt viel frisches Wasser.|Warum fahren wir morgen nicht ans Meer?|"
    "Was für eine schöne Überraschung!|Ein alter Mann wohnt oben auf dem Berg.|Danke, bis bald.|"
    "Acht hungrige Wölfe liefen durch den Wald.|Ich mag die Musik deines Bruders sehr.|"
    "Zwanzig, dreißig, fünfundvierzig.|Es regnet über der Stadt, und niemand geht hinaus.|"
    "Bitte hinterlassen Sie eine Nachricht nach dem Piepton.|Pfeffer, Apfel, Topf und Pflaume.",
    "ru": "Доброе утро, как ваши дела?|Моя мама варит вкусный рыбный суп.|"
    "Собака пьёт холодную воду.|"
    "Почему бы нам не поехать завтра на море?|Какая приятная неожиданность!|"
    "Старый человек живёт на вершине горы.|Восемь голодных волков вышли из леса.|"
    "Мне очень нравится музыка твоего брата.|Двадцать, тридцать, сорок пять.|Спасибо, до свидания.|"
    "Над городом идёт дождь, и никто не выходит из дома.|Бабушка помыла большой белый шкаф.|"
    "Пожалуйста, оставьте сообщение после сигнала.|Муж шумно ищет жёлтую чашку.",
}
LANGUAGES = ("en", *_OTHER)


def sentence(language: str, rng: np.random.Generator) -> str:
    """One sentence (or a few short ones) of ``language``, drawn with ``rng``."""
    if language == "en":
        return _english(rng)
    lines = _OTHER[language].split("|")
    kind = rng.random()
    if kind < 0.5:
        return " ".join(rng.choice(lines, size=2, replace=False))
    if kind < 0.65:
        return str(rng.integers(10, 100_000))
    # Shuffled words give sound sequences that the few sentences lack.
    words = " ".join(lines).translate(str.maketrans("", "", ".,?!¿¡")).lower().split()
    return ", ".join(" ".join(rng.choice(words, size=4)) for _ in range(2)) + "."


def _english(rng: np.random.Generator) -> str:
    def pick(options: list[str]) -> str:
        return str(rng.choice(options))

    kind = rng.random()
    if kind < 0.45:
        clause = f"{pick(_EN_WHO)} {pick(_EN_DID)} {pick(_EN_WHAT)}"
        if rng.random() < 0.7:
            clause += f" {pick(_EN_WHERE)}"
        if rng.random() < 0.25:
            clause += f", but {pick(_EN_WHO)} {pick(_EN_DID)} {pick(_EN_WHAT)}"
        return clause[0].upper() + clause[1:] + pick([".", ".", ".", "?", "!"])
    if kind < 0.65:
        return " ".join(rng.choice(_EN_WHOLE, size=2, replace=False))
    if kind < 0.72:
        return f"Call {rng.integers(100, 1000)}, {rng.integers(1000, 10_000)}, thank you."
    if kind < 0.78:
        return ". ".join(rng.choice(list("ABCDEFGHIJKLMNOPQRSTUVWXYZ"), size=6)) + "."
    if kind < 0.86:
        return ". ".join(rng.choice(_EN_WORDS, size=4)).capitalize() + "."
    return " ".join(rng.choice(_EN_WORDS, size=8)).capitalize() + "."
