"""The trend of each ticker, forecast before the fact and scored in public.

At every full hour of a session, and for each ticker: the distribution of the next hour's high and of the day's high
still to come, both relative to the last close, and the probability that the session closes above now.

    samples    what is known at each of these moments, and what came of it, from the query `hourly`
    models     how a forecast is made; boosted is the machine-learned one, in the extra [forecast]
    walk       forecasts of one session after the other, each from earlier sessions only
    scores     how good forecasts were, which model is the champion, and the sentence that says so
    making     forecasts from a lake, stored in its table `forecasts`
"""
