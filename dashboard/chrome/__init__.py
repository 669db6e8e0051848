"""Chrome: what surrounds the charts. Header, controls, cards, messages, the page's address."""
