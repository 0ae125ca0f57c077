"""How the task ``forecast`` and the data set ``sunspots`` divide a yearly series."""

#: Years that the network sees: two solar cycles of about eleven years.
PAST = 22
#: Years that it predicts.
FUTURE = 4
