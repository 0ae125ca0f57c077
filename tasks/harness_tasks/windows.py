"""How the task ``forecast`` and the data set ``sunspots`` cut a yearly series."""

#: Years that the network sees: two solar cycles of about eleven.
PAST = 22
#: Years that it tells.
FUTURE = 4
