"""Stand-ins for what lies outside: real protocols on loopback, no patched modules."""
