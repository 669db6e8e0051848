        -- What brings prices to the basis: a vendor has divided what it gave from `adjusted_from` on.
        coalesce((
            SELECT power(round(exp(sum(ln(s.ratio))), 9), if(%(basis)s = 'latest', 1, -1))
            FROM splits s
            WHERE s.ticker = v.ticker
                AND s.ex_date > v.dt
                AND s.ex_date <= substr(%(as_of)s, 1, 10)
                AND if(strpos(s.own, ',' || v.source || ',') > 0, s.source = v.source, s.place = 1)
                AND (s.adjusted_from > v.collected_at) = (%(basis)s = 'latest')
        ), 1e0) AS divisor
