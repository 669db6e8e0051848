                b.collected_at DESC,
                b.high DESC NULLS LAST,
                b.low DESC NULLS LAST,
                b.open DESC NULLS LAST,
                b.close DESC NULLS LAST,
                b.volume DESC NULLS LAST
