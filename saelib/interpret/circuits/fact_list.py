"""Facts that many language models know: what a sentence goes on with, and what it could be taken for.

In: nothing. Out: `FACTS`. The wrong answer is one of the same kind, so that grammar and topic say nothing between them.
"""

from typing import NamedTuple


class Fact(NamedTuple):
    """A sentence without its last word, that word, and another one in its place."""

    prompt: str
    right: str
    wrong: str


CAPITALS = (
    ("France", "Paris", "Rome"), ("Italy", "Rome", "Paris"), ("Germany", "Berlin", "Vienna"),
    ("Spain", "Madrid", "London"), ("England", "London", "Dublin"), ("Russia", "Moscow", "Berlin"),
    ("Japan", "Tokyo", "Beijing"), ("China", "Beijing", "Tokyo"), ("Egypt", "Cairo", "Athens"),
    ("Greece", "Athens", "Cairo"), ("Austria", "Vienna", "Madrid"), ("Ireland", "Dublin", "Moscow"),
)  # fmt: skip
LANGUAGES = (
    ("France", "French", "German"), ("Germany", "German", "French"), ("Italy", "Italian", "Spanish"),
    ("Spain", "Spanish", "Italian"), ("Japan", "Japanese", "Chinese"), ("China", "Chinese", "Japanese"),
    ("Russia", "Russian", "Greek"), ("Greece", "Greek", "Russian"), ("Mexico", "Spanish", "French"),
    ("Australia", "English", "Dutch"),
)  # fmt: skip
CONTINENTS = (
    ("France", "Europe", "Asia"), ("China", "Asia", "Africa"), ("Egypt", "Africa", "Europe"),
    ("Germany", "Europe", "Africa"), ("India", "Asia", "Europe"), ("Kenya", "Africa", "Asia"),
    ("Poland", "Europe", "America"), ("Nigeria", "Africa", "America"),
)  # fmt: skip
OPPOSITES = (
    ("hot", "cold", "big"), ("big", "small", "cold"), ("up", "down", "left"), ("left", "right", "down"),
    ("good", "bad", "old"), ("young", "old", "bad"), ("open", "closed", "empty"), ("full", "empty", "closed"),
    ("black", "white", "short"), ("tall", "short", "white"), ("rich", "poor", "slow"), ("fast", "slow", "poor"),
    ("early", "late", "low"), ("high", "low", "late"),
)  # fmt: skip
FOLLOWERS = (
    ("The day after Monday is", "Tuesday", "Friday"), ("The day after Tuesday is", "Wednesday", "Sunday"),
    ("The day after Thursday is", "Friday", "Monday"), ("The day after Saturday is", "Sunday", "Thursday"),
    ("The month after January is", "February", "August"), ("The month after March is", "April", "October"),
    ("The month after June is", "July", "May"), ("The month after September is", "October", "March"),
    ("The number after two is", "three", "seven"), ("The number after five is", "six", "two"),
    ("The number after nine is", "ten", "four"), ("The season after spring is", "summer", "winter"),
    ("The season after autumn is", "winter", "summer"),
)  # fmt: skip
OTHERS = (
    ("The colour of the sky on a clear day is", "blue", "green"), ("The colour of fresh grass is", "green", "blue"),
    ("The colour of blood is", "red", "blue"), ("The colour of snow is", "white", "red"),
    ("The colour of coal is", "black", "green"), ("The colour of a ripe banana is", "yellow", "red"),
    ("A dog has four", "legs", "wheels"), ("A car has four", "wheels", "legs"),
    ("A week has seven", "days", "hours"), ("A year has twelve", "months", "days"),
    ("A minute has sixty", "seconds", "days"), ("Bees make", "honey", "milk"), ("Cows give", "milk", "honey"),
    ("The Earth moves around the", "Sun", "Moon"), ("At night the sky is lit by the stars and the", "moon", "sun"),
    ("Water is made of hydrogen and", "oxygen", "carbon"), ("Plants take in carbon", "dioxide", "acid"),
    ("The largest planet of the solar system is", "Jupiter", "Mars"),
    ("The red planet is called", "Mars", "Jupiter"),
    ("The theory of relativity is due to Albert", "Einstein", "Newton"),
    ("The law of gravity is due to Isaac", "Newton", "Einstein"),
    ("The author of Romeo and Juliet is William", "Shakespeare", "Wordsworth"),
    ("The first president of the United States was George", "Washington", "Lincoln"),
    ("The president who ended slavery in the United States was Abraham", "Lincoln", "Washington"),
    ("Hearts pump", "blood", "air"), ("Lungs breathe", "air", "blood"), ("A baby cat is called a", "kitten", "puppy"),
    ("A baby dog is called a", "puppy", "kitten"), ("The king and the", "queen", "doctor"),
    ("He is a boy, and she is a", "girl", "man"), ("She is a woman, and he is a", "man", "girl"),
    ("Fish live in", "water", "trees"), ("Birds build their nests in", "trees", "water"),
    ("Bread is baked in an", "oven", "engine"), ("Books are kept in a", "library", "hospital"),
    ("Sick people are cared for in a", "hospital", "library"), ("Ice is frozen", "water", "milk"),
    ("In winter it is", "cold", "warm"), ("Sugar tastes", "sweet", "bitter"),
)  # fmt: skip
FACTS = (
    *(Fact(f"The capital of {country} is", *answers) for country, *answers in CAPITALS),
    *(Fact(f"The language that most people in {country} speak is", *answers) for country, *answers in LANGUAGES),
    *(Fact(f"{country} is a country in", *answers) for country, *answers in CONTINENTS),
    *(Fact(f"The opposite of {word} is", *answers) for word, *answers in OPPOSITES),
    *(Fact(*line) for line in (*FOLLOWERS, *OTHERS)),
)
