"""What tasks and their data sets agree on: how a yearly series and a text are divided."""

#: Years that the network sees: two solar cycles of about eleven years.
PAST = 22
#: Years that it predicts.
FUTURE = 4

#: Characters that a language model sees.
CONTEXT = 64
#: Different characters of tinyshakespeare; other texts are reduced to as many.
VOCABULARY = 65
