"""Charts: pure functions from a data frame to an Altair chart.

Colour never carries meaning alone: lines have their ticker at the end and their own point shape, cells show their
price, and what is provisional is dashed and hollow. The colours are Okabe and Ito's, distinct under every kind of
colour vision (https://jfly.uni-koeln.de/color/).
"""
